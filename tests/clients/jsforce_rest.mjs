// Drives the Salesforce stand-in with jsforce: JWT login, collections, queries, bulk jobs of every operation.
// Prints what it saw as one line of JSON.
//
//   node jsforce_rest.mjs URL CLIENT_ID USERNAME PRIVATE_KEY_FILE

import { createSign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import jsforce from 'jsforce'

const [url, clientId, username, keyFile] = process.argv.slice(2)
const { Connection, OAuth2 } = jsforce
const seen = {}

const control = async (path, body) =>
  (await fetch(`${url}/_control/${path}`, { method: 'POST', body: JSON.stringify(body ?? {}) })).json()

const refusal = async (doing) => {
  try {
    return { done: await doing() }
  } catch (error) {
    return { name: error.name, message: error.message, data: error.data ?? null }
  }
}

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
const assertion = (change) => {
  const claims = { iss: clientId, sub: username, aud: 'https://login.salesforce.com',
    exp: Math.floor(Date.now() / 1000) + 180, ...change }
  const text = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`
  return `${text}.${createSign('RSA-SHA256').update(text).sign(readFileSync(keyFile), 'base64url')}`
}
const login = async (connection, change) => connection.authorize({
  grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: assertion(change) })
const connect = () => new Connection({ version: '66.0', oauth2: new OAuth2({ loginUrl: url, clientId }) })

// ---- login ----
const connection = connect()
await login(connection)
seen.user = connection.userInfo
seen.expired = await refusal(() => login(connect(), { exp: 1 }))
seen.audience = await refusal(() => login(connect(), { aud: 'https://example.com' }))
await control('oauth', { wrong: 'not_approved' })
seen.notApproved = await refusal(() => login(connect()))
await control('oauth', { wrong: null })
const leaving = connect()
await login(leaving)
const token = leaving.accessToken
await leaving.logout()
seen.loggedOut = (await fetch(`${url}/services/data/v66.0/limits`, { headers: { Authorization: `Bearer ${token}` } })).status

// jsforce renews by itself: the session it begins with is long over.
const { approvals: [refreshToken] } = await control('oauth', { approve: 1 })
const renewing = new Connection({ version: '66.0', oauth2: new OAuth2({ loginUrl: url, clientId }), instanceUrl: url,
  accessToken: 'long over', refreshToken })
seen.renewed = 0
renewing.on('refresh', () => seen.renewed++)
seen.afterRenewal = (await renewing.limits()).DailyApiRequests.Max
const revoked = new Connection({ version: '66.0', oauth2: new OAuth2({ loginUrl: url, clientId }), instanceUrl: url,
  accessToken: 'long over', refreshToken: 'revoked' })
seen.revokedRefresh = await refusal(() => revoked.limits())

// ---- collections ----
const accounts = connection.sobject('Account')
seen.created = await accounts.create([{ Name: 'A', Ext__c: '1' }, { Ext__c: '2' }, { Name: 'C', Ext__c: '3' }])
const [first, , third] = seen.created
seen.updated = await accounts.update([{ Id: first.id, Name: 'A2' }, { Id: '0015g00000Acc99AAB', Name: 'x' }])
seen.whole = await refusal(() => accounts.update([{ Id: first.id, Name: 'A3' }, { Id: '0015g00000Acc99AAB', Name: 'x' }],
  { allOrNone: true }))
seen.upserted = await accounts.upsert([{ Ext__c: '1', Phone: '5' }, { Ext__c: '4', Name: 'D' }], 'Ext__c')
seen.read = await connection.retrieve('Account', [first.id, '0015g00000Acc99AAB', third.id], { fields: ['Name', 'Phone'] })
seen.destroyed = await accounts.destroy([third.id, third.id])
const many = Array.from({ length: 450 }, (_, n) => ({ Ext__c: `m-${n}`, LastName: `L${n}` }))
seen.many = (await connection.sobject('Contact').upsert(many, 'Ext__c', { allowRecursive: true }))
  .filter((one) => one.success).length

await control('org', { duplicate_rules: [{ object: 'Contact', fields: ['LastName'] }] })
seen.duplicate = await connection.sobject('Contact').create([{ LastName: 'l7' }, { LastName: 'new' }])
seen.duplicateAlone = await refusal(() => connection.sobject('Contact').create({ LastName: 'l7' }))
await control('org', { duplicate_rules: [] })

// ---- single records ----
const made = await accounts.create({ Name: 'single', Ext__c: 'a b' })
seen.single = await accounts.retrieve(made.id)
seen.singleUpdated = await accounts.update({ Id: made.id, Phone: '1' })
seen.singleUpserted = await accounts.upsert({ Ext__c: 'a b', Phone: '2' }, 'Ext__c')
seen.singleGone = await accounts.destroy(made.id)
seen.notThere = await refusal(() => accounts.retrieve(made.id))
seen.describe = (await connection.sobject('Contact').describe()).fields.find((one) => one.name === 'Ext__c')

// ---- queries ----
const records = []
let page = await connection.query("SELECT Ext__c, LastName FROM Contact WHERE Ext__c LIKE 'm-%' ORDER BY Ext__c",
  { headers: { 'Sforce-Query-Options': 'batchSize=200' } })
seen.pages = 0
for (;;) {
  seen.pages++
  records.push(...page.records)
  if (page.done) break
  page = await connection.queryMore(page.nextRecordsUrl, { headers: { 'Sforce-Query-Options': 'batchSize=200' } })
}
seen.queried = { total: page.totalSize, got: records.length, first: records[0] }
seen.found = await connection.sobject('Account').find({ Ext__c: { $in: ['1', '4'] } }, ['Ext__c', 'Name'])
  .sort({ Ext__c: -1 }).execute()
seen.count = await connection.sobject('Contact').count({ LastName: { $like: 'L%' } })
seen.badQuery = await refusal(() => connection.query('SELECT Nope FROM Account'))
seen.limits = (await connection.limits()).DailyApiRequests

// ---- composite ----
seen.composite = (await connection.request({
  method: 'POST', url: '/composite', headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ allOrNone: true, compositeRequest: [
    { method: 'POST', url: '/services/data/v66.0/sobjects/Account', referenceId: 'a', body: { Name: 'parent' } },
    { method: 'POST', url: '/services/data/v66.0/sobjects/Contact', referenceId: 'c',
      body: { LastName: 'child', AccountId: '@{a.id}' } }] }),
})).compositeResponse.map((one) => one.httpStatusCode)

// ---- bulk: the other operations, and a query of one page ----
const bulk = (operation, input) => connection.bulk2.loadAndWaitForResults({
  object: 'Product2', operation, input, lineEnding: 'LF', pollInterval: 50, pollTimeout: 20000 })
const inserted = (await bulk('insert', [{ Name: 'P', Sku__c: 's-1' }, { Name: '', Sku__c: 's-2' }]))
seen.bulkInserted = inserted
const product = inserted.successfulResults[0].sf__Id
seen.bulkUpdated = await bulk('update', [{ Id: product, Name: 'P2' }])
const lines = []
const stream = await connection.bulk2.query("SELECT Id, Name, Sku__c FROM Product2", { pollInterval: 50, pollTimeout: 20000 })
for await (const one of stream) lines.push(one)
seen.bulkQueried = lines
seen.bulkQueryRefused = await refusal(() => connection.bulk2.query('SELECT COUNT() FROM Product2',
  { pollInterval: 50, pollTimeout: 20000 }))
seen.bulkDeleted = await bulk('delete', [{ Id: product }])
seen.hardDelete = await refusal(() => bulk('hardDelete', [{ Id: product }]))

console.log(JSON.stringify(seen))
