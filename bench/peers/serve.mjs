// What both peers share: a signed webhook is taken by fastify, checked as Sluice checks it, given to
// a queue, and answered when the queue says it has it. Installed beside each peer's server.mjs.
//
//   BENCH_PORT, BENCH_SECRET   from the environment; prints "ready" once it listens
//   POST /in/acme-shop         200, or 401
//   GET /count                 how many webhooks the queue holds

import { createHmac, timingSafeEqual } from 'node:crypto'
import Fastify from 'fastify'

const secret = process.env.BENCH_SECRET

function signatureFits(body, header) {
  const wanted = createHmac('sha256', secret).update(body).digest()
  const given = Buffer.from(header ?? '', 'base64')
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

// enqueue({ id, topic, body }): a promise, resolved when the queue has it. count(): how many it has.
export async function serve({ enqueue, count }) {
  const app = Fastify({ logger: false, bodyLimit: 2 * 1024 * 1024 })

  // the signature is over raw bytes, so the body stays as it came
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body, done) => done(null, body))

  app.post('/in/:endpoint', async (request, reply) => {
    const { headers, body } = request
    if (!signatureFits(body, headers['x-shopify-hmac-sha256']))
      return reply.code(401).send()
    await enqueue({
      id: headers['x-shopify-webhook-id'],
      topic: headers['x-shopify-topic'],
      body: body.toString()
    })
    return reply.code(200).send()
  })
  app.get('/count', async () => ({ count: await count() }))

  await app.listen({ host: '127.0.0.1', port: Number(process.env.BENCH_PORT) })
  console.log('ready')
}
