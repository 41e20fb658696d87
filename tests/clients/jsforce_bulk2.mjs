// Drives the Salesforce stand-in with jsforce's Bulk API 2.0 client and prints what it saw as one line of JSON.
//
//   node jsforce_bulk2.mjs URL CLIENT_ID CLIENT_SECRET

import jsforce from 'jsforce'

const [url, clientId, clientSecret] = process.argv.slice(2)
const { Connection, OAuth2 } = jsforce
const seen = { refreshes: 0 }

const authorize = async (connection) => {
  await connection.authorize({ grant_type: 'client_credentials' })
}

const connection = new Connection({
  version: '66.0',
  oauth2: new OAuth2({ loginUrl: url, clientId, clientSecret }),
  // jsforce calls this once when a session is found expired, and repeats the request with what it yields.
  refreshFn: async (_, done) => {
    seen.refreshes++
    const fresh = new Connection({ version: '66.0', oauth2: new OAuth2({ loginUrl: url, clientId, clientSecret }) })
    await authorize(fresh)
    done(null, fresh.accessToken)
  },
})

const control = (path, method, body) =>
  fetch(`${url}/_control/${path}`, { method, body: body && JSON.stringify(body) })

const upsert = (object, externalIdFieldName, input) =>
  connection.bulk2.loadAndWaitForResults({
    object, operation: 'upsert', externalIdFieldName, lineEnding: 'LF', input, pollInterval: 50, pollTimeout: 20000,
  })

await authorize(connection)
seen.instanceUrl = connection.instanceUrl
seen.userInfo = connection.userInfo

seen.first = await upsert('Opportunity', 'Shopify_Order_Id__c', [
  { Shopify_Order_Id__c: '9007199254740993', Name: '#1042 "quoted", with comma', StageName: 'Closed Won',
    CloseDate: '2026-11-20', Amount: 113.89, Description: 'two\nlines; and | more' },
  { Shopify_Order_Id__c: '9007199254740995', Name: 'Zoë Ångström ☕', StageName: 'Closed Won',
    CloseDate: '2026-11-20', Amount: 912260031, Description: null },
  { Shopify_Order_Id__c: '9007199254740997', Name: '', StageName: 'Closed Won', CloseDate: '2026-11-20',
    Amount: 1, Description: 'has no name' },
])

// Again, with one row changed: nothing may be created.
seen.second = await upsert('Opportunity', 'Shopify_Order_Id__c', [
  { Shopify_Order_Id__c: '9007199254740993', Name: '#1042', StageName: 'Closed Won', CloseDate: '2026-11-20',
    Amount: '113.90' },
])

seen.before = seen.refreshes
await control('expire', 'POST')
seen.renewed = await upsert('Account', 'Ext__c', [{ Ext__c: 'a-1', Name: 'After the session ended' }])

try {
  await upsert('Account', 'Ext__c', [{ Ext__c: 'a-2', Nonsense__c: 'x' }])
  seen.unknownColumn = 'was accepted'
} catch (error) {
  seen.unknownColumn = error.message
}

// One call by one call, as a client does that keeps the job.
const job = connection.bulk2.createJob({ object: 'Account', operation: 'upsert', externalIdFieldName: 'Ext__c',
  lineEnding: 'LF' })
await job.open()
await job.uploadData('Ext__c,Name\na-3,By hand\n')
await job.close()
await job.poll(50, 20000)
seen.byHand = { info: await job.check(), successful: await job.getSuccessfulResults() }
await job.delete()
try {
  await job.check()
  seen.deleted = 'still there'
} catch (error) {
  seen.deleted = error.name
}

seen.collections = await connection.sobject('Account').upsert(
  [{ Ext__c: 'a-3', Name: 'By collection' }, { Ext__c: 'a-4' }], 'Ext__c', { allOrNone: false })
seen.limitInfo = connection.limitInfo

console.log(JSON.stringify(seen))
