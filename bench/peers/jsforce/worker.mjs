// What a user would write instead: records that are there already, loaded by jsforce's Bulk API 2.0 client, a job
// at a time.
//
//   node worker.mjs URL CLIENT_ID CLIENT_SECRET OBJECT EXTERNAL_ID FILE ROWS_A_JOB
//
// FILE holds one record a line. Prints {"seconds", "rows"} and, once it is logged in, waits for a line on stdin.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'

import jsforce from 'jsforce'

const [url, clientId, clientSecret, object, externalIdFieldName, file, rowsAJob] = process.argv.slice(2)
const { Connection, OAuth2 } = jsforce
const connection = new Connection({ version: '66.0', oauth2: new OAuth2({ loginUrl: url, clientId, clientSecret }) })
const records = readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line))

await connection.authorize({ grant_type: 'client_credentials' })
console.log('ready')
await once(process.stdin, 'data')

const begun = process.hrtime.bigint()
let rows = 0
for (let at = 0; at < records.length; at += +rowsAJob) {
  const { successfulResults, failedResults, unprocessedRecords } = await connection.bulk2.loadAndWaitForResults({
    object, operation: 'upsert', externalIdFieldName, lineEnding: 'LF', input: records.slice(at, at + +rowsAJob),
    pollInterval: 50, pollTimeout: 600_000,
  })
  if (failedResults.length || unprocessedRecords.length) throw new Error('rows failed')
  rows += successfulResults.length
}
console.log(JSON.stringify({ seconds: Number(process.hrtime.bigint() - begun) / 1e9, rows }))
process.exit(0)
