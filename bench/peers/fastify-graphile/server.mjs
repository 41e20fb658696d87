// fastify + graphile-worker on the PostgreSQL at BENCH_DATABASE (a connection string). The job's key
// is the webhook's id: the same one a second time replaces the first.

import { makeWorkerUtils } from 'graphile-worker'
import { serve } from './serve.mjs'

const utils = await makeWorkerUtils({
  connectionString: process.env.BENCH_DATABASE,
  maxPoolSize: Number(process.env.BENCH_POOL)
})

async function count() {
  const { rows } = await utils.withPgClient((client) =>
    client.query('select count(*)::int as n from graphile_worker.jobs'))
  return rows[0].n
}

await utils.migrate()
await serve({
  enqueue: ({ id, topic, body }) => utils.addJob('webhook', { topic, body }, { jobKey: id }),
  count
})
