// fastify + BullMQ on the Redis at the socket BENCH_REDIS. The job's id is the webhook's: the same one
// a second time is not queued again.

import { Queue } from 'bullmq'
import { serve } from './serve.mjs'

const queue = new Queue('webhooks', { connection: { path: process.env.BENCH_REDIS } })

await queue.waitUntilReady()
await serve({
  enqueue: ({ id, topic, body }) => queue.add(topic, { topic, body }, { jobId: id }),
  count: () => queue.getWaitingCount()
})
