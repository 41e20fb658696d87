// Drives the Shopify stand-in with Shopify's own library: tokens, GraphQL with retries, webhooks, fulfillment services.
// It listens itself for what the stand-in sends, and prints what it saw as one line of JSON.
//
//   node shopify_api.mjs URL CLIENT_ID SECRET

import { createServer } from 'node:http'
import '@shopify/shopify-api/adapters/node'
import { ApiVersion, GraphqlQueryError, HttpResponseError, HttpThrottlingError, Session,
  shopifyApi } from '@shopify/shopify-api'
import { setAbstractFetchFunc } from '@shopify/shopify-api/runtime'

const [url, apiKey, apiSecretKey] = process.argv.slice(2)
const shop = 'example.myshopify.com'
const seen = { calls: [] }

// The shop's host is where the stand-in listens; everything else of the library is as it comes.
setAbstractFetchFunc(async (address, options) => {
  const real = String(address).replace(`https://${shop}`, url)
  if (real === String(address)) throw new Error(`${address} is not the shop`)
  const answer = await fetch(real, options)
  seen.calls.push(answer.status)
  return answer
})

const library = (secret) => shopifyApi({ apiKey, apiSecretKey: secret, apiVersion: ApiVersion.October26 ?? '2026-10',
  hostName: 'gw.example.com', hostScheme: 'https', isEmbeddedApp: false, scopes: [], logger: { level: 0, log: () => {} } })
const api = library(apiSecretKey)
const previous = library('the previous secret')

const control = async (path, body) =>
  (await fetch(`${url}/_control/${path}`, { method: 'POST', body: JSON.stringify(body ?? {}) })).json()

const refusal = async (doing) => {
  try {
    return { done: await doing() }
  } catch (error) {
    return { name: error.constructor.name, message: error.message, code: error.response?.code ?? null,
      body: (error instanceof GraphqlQueryError ? error.body : error.response?.body) ?? null, retryAfter: error.response?.retryAfter ?? null,
      graphQL: error instanceof GraphqlQueryError, http: error instanceof HttpResponseError,
      throttled: error instanceof HttpThrottlingError }
  }
}

// ---- tokens ----
seen.credentials = (await api.auth.clientCredentials({ shop })).session.toObject()
seen.wrongSecret = await refusal(() => previous.auth.clientCredentials({ shop }))
const { pairs: [pair] } = await control('tokens', { offline: 1 })
seen.pair = pair
seen.refreshed = (await api.auth.refreshToken({ shop, refreshToken: pair.refresh_token })).session.toObject()
seen.refreshedAgain = (await api.auth.refreshToken({ shop, refreshToken: pair.refresh_token })).session.toObject()
await api.auth.refreshToken({ shop, refreshToken: seen.refreshedAgain.refreshToken })
seen.retired = await refusal(() => api.auth.refreshToken({ shop, refreshToken: pair.refresh_token }))

// ---- GraphQL ----
const sessionOf = (accessToken) => new Session({ id: shop, shop, state: '', isOnline: false, accessToken })
const client = new api.clients.Graphql({ session: sessionOf(seen.credentials.accessToken) })
const asked = await client.request('query { shop { name myshopifyDomain } }')
seen.shop = { data: asked.data, cost: asked.extensions.cost, version: asked.headers['X-Shopify-Api-Version'] }
seen.noToken = await refusal(() => new api.clients.Graphql({ session: sessionOf('shpat_none') })
  .request('{ shop { name } }'))
seen.badField = await refusal(() => client.request('{ shop { nickname } }'))

seen.calls.length = 0
await control('faults', { rules: [{ action: 'edge_limit', at: 'graphql', count: 1 },
  { action: 'unavailable', at: 'graphql', count: 1 }], replace: true })
seen.retried = { data: (await client.request('{ shop { name } }', { retries: 3 })).data, statuses: [...seen.calls] }
await control('faults', { rules: [{ action: 'edge_limit', at: 'graphql', count: 1 }], replace: true })
seen.limited = await refusal(() => client.request('{ shop { name } }'))
await control('faults', { rules: [{ action: 'locked', at: 'graphql', count: 1 }], replace: true })
seen.locked = await refusal(() => client.request('{ shop { name } }'))

// A bucket that is too small by now: the answer says how long to wait, and then there is enough.
const dear = '{ orders(first: 250) { nodes { id lineItems(first: 50) { nodes { id } } } } }'
await control('points', { maximum: 200, restore: 100, left: 0 })
seen.throttled = []
for (let tries = 0; tries < 10; tries++) {
  const answer = await refusal(() => client.request(dear))
  if (answer.done) {
    seen.throttled.push({ data: answer.done.data, cost: answer.done.extensions.cost })
    break
  }
  const { extensions, errors } = answer.body
  seen.throttled.push({ graphQL: answer.graphQL, cost: extensions?.cost, errors })
  const { requestedQueryCost, throttleStatus: { currentlyAvailable, restoreRate } } = extensions.cost
  await new Promise((done) => setTimeout(done, 1000 * (requestedQueryCost - currentlyAvailable) / restoreRate))
}
await control('points', { maximum: 2000, restore: 100, left: 2000 })

await control('tokens', { expire: true })
seen.expired = await refusal(() => client.request('{ shop { name } }'))
const again = (await api.auth.clientCredentials({ shop })).session
const renewed = new api.clients.Graphql({ session: again })
seen.renewed = (await renewed.request('{ shop { name } }')).data

// ---- webhooks and the calls of a fulfillment service ----
const got = []
const server = createServer((request, response) => {
  const pieces = []
  request.on('data', (piece) => pieces.push(piece))
  request.on('end', async () => {
    const rawBody = Buffer.concat(pieces).toString('utf8')
    const adapter = { rawBody, rawRequest: request, rawResponse: response }
    const validate = request.url.includes('fulfillment_order_notification') ? 'fulfillmentService' : 'webhooks'
    const said = await api[validate].validate(adapter)
    const before = await previous[validate].validate(adapter)
    got.push({ path: request.url, said, previous: before.valid, body: rawBody })
    response.writeHead(said.valid || before.valid ? 200 : 401).end()
  })
})
await new Promise((done) => server.listen(0, '127.0.0.1', done))
await control('webhooks', { routes: { 'https://gw.example.com': `http://127.0.0.1:${server.address().port}` },
  secrets: [apiSecretKey, 'the previous secret'] })
const subscribe = `mutation($topic: WebhookSubscriptionTopic!, $sub: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $sub) { webhookSubscription { id } userErrors { message } } }`
for (const topic of ['ORDERS_CREATE', 'ORDERS_PAID', 'FULFILLMENT_ORDERS_ORDER_ROUTING_COMPLETE'])
  await renewed.request(subscribe, { variables: { topic, sub: { uri: 'https://gw.example.com/in/shop', name: topic } } })

const send = async (switches, seed) => {
  await control('webhooks', { previous_secret: false, lower_case: false, unprefixed: false, bad_signature: 0, ...switches })
  got.length = 0
  await control('orders', { seed })
  await control('settle')
  return [...got]
}
seen.webhooks = await send({}, 1)
seen.lowerCase = await send({ lower_case: true }, 2)
seen.events = await send({ unprefixed: true }, 3)
seen.rotated = await send({ previous_secret: true }, 4)
await renewed.request(`mutation { fulfillmentServiceCreate(name: "Nord", callbackUrl: "https://gw.example.com/in/nord") {
  fulfillmentService { id } userErrors { message } } }`)
got.length = 0
await control('services', { what: 'FULFILLMENT_REQUEST' })
await control('services', { what: 'FULFILLMENT_REQUEST', bad_signature: true })
seen.notified = [...got]
seen.forged = await send({ bad_signature: 1 }, 5)

server.closeAllConnections()
server.close()
console.log(JSON.stringify(seen))
