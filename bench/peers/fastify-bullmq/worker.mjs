// BullMQ's worker on the Redis at the socket BENCH_REDIS: one HTTP POST a job, connections kept open.
//
//   node worker.mjs fill COUNT BYTES   that many jobs
//   node worker.mjs work URL           works them off, BENCH_CONCURRENCY at a time; prints "ready"

import { Queue, Worker } from 'bullmq'
import { bodyOf, poster } from './post.mjs'

const connection = { path: process.env.BENCH_REDIS }
const concurrency = Number(process.env.BENCH_CONCURRENCY)
const [what, first, second] = process.argv.slice(2)

if (what === 'fill') {
  const queue = new Queue('deliveries', { connection })
  for (let n = 0; n < Number(first); n += 1000) {
    const jobs = Array.from({ length: Math.min(1000, Number(first) - n) }, (_, i) =>
      ({ name: 'delivery', data: { body: bodyOf(n + i, Number(second)) } }))
    await queue.addBulk(jobs)
  }
  await queue.close()
} else {
  const post = poster(first, concurrency)
  // what is done is not kept: less for Redis to do
  const worker = new Worker('deliveries', (job) => post(job.data.body),
    { connection, concurrency, removeOnComplete: { count: 0 }, removeOnFail: { count: 0 } })
  worker.on('error', (error) => console.error(error))
  await worker.waitUntilReady()
  console.log('ready')
}
