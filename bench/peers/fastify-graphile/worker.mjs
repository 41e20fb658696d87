// graphile-worker on the PostgreSQL at BENCH_DATABASE: one HTTP POST a job, connections kept open.
//
//   node worker.mjs fill COUNT BYTES   that many jobs
//   node worker.mjs work URL           works them off, BENCH_CONCURRENCY at a time; prints "ready"
//
// BENCH_LOCAL_QUEUE: jobs fetched at a time and kept in this process; 0: each is fetched by itself.

import { makeWorkerUtils, run } from 'graphile-worker'
import { bodyOf, poster } from './post.mjs'

const connectionString = process.env.BENCH_DATABASE
const concurrency = Number(process.env.BENCH_CONCURRENCY)
const local = Number(process.env.BENCH_LOCAL_QUEUE)
const [what, first, second] = process.argv.slice(2)

if (what === 'fill') {
  const utils = await makeWorkerUtils({ connectionString })
  await utils.migrate()
  for (let n = 0; n < Number(first); n += 1000) {
    const jobs = Array.from({ length: Math.min(1000, Number(first) - n) }, (_, i) =>
      ({ identifier: 'delivery', payload: { body: bodyOf(n + i, Number(second)) } }))
    await utils.addJobs(jobs)
  }
  await utils.withPgClient((client) => client.query('vacuum analyze'))
  await utils.release()
} else {
  const post = poster(first, concurrency)
  await run({
    taskList: { delivery: (payload) => post(payload.body) },
    preset: {
      worker: {
        connectionString,
        concurrentJobs: concurrency,
        maxPoolSize: Number(process.env.BENCH_POOL),
        noHandleSignals: true,
        ...(local ? { localQueue: { size: local, refetchDelay: { durationMs: 10 } } } : {})
      }
    }
  })
  console.log('ready')
}
