// What both peers' workers share: a job is one POST, answered 200, or it fails.

import { Agent, request } from 'node:http'

// {"n":"000000000042","x":"..."}, as bench-lane-fill makes them
export function bodyOf(n, bytes) {
  const head = `{"n":"${String(n).padStart(12, '0')}","x":"`
  return head + 'x'.repeat(Math.max(0, bytes - head.length - 2)) + '"}'
}

export function poster(url, connections) {
  const { hostname, port, pathname } = new URL(url)
  const agent = new Agent({ keepAlive: true, maxSockets: connections, noDelay: true })

  return (body) => new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
    const sent = request({ agent, hostname, port, path: pathname, method: 'POST', headers }, (answer) => {
      answer.resume()
      answer.on('end', () => answer.statusCode === 200 ? resolve() : reject(new Error(`status ${answer.statusCode}`)))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
