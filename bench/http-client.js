import { connect } from 'node:net'

/**
 * Sends `count` requests over `connections` keep-alive connections. Each connection sends the next request when the
 * answer is there. A raw socket costs the client less than the request costs the server. So the server is what is
 * measured.
 *
 * @param {{ port: number, connections: number, count: number, request: string }} options
 */
export async function sendRequests({ port, connections, count, request }) {
  const bytes = Buffer.from(request)
  const each = Math.ceil(count / connections)
  await Promise.all(Array.from({ length: connections }, () => sendOnOneSocket(port, bytes, each)))
}

/**
 * @param {number} port
 * @param {Buffer} request
 * @param {number} count
 * @returns {Promise<void>}
 */
function sendOnOneSocket(port, request, count) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true }, () => socket.write(request))
    let left = count
    let answer = ''
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer for 10 s')))
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      answer += chunk.latin1Slice()
      if (!isComplete(answer)) return
      if (!answer.startsWith('HTTP/1.1 200')) socket.destroy(new Error(answer))
      answer = ''
      left--
      if (left > 0) socket.write(request)
      else socket.end(resolve)
    })
  })
}

/** @param {string} answer */
function isComplete(answer) {
  const end = answer.indexOf('\r\n\r\n')
  if (end === -1) return false
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(answer)?.[1])
  return answer.length === end + 4 + length
}

/**
 * Writes a request as text.
 *
 * @param {{ method: string, cookie?: string | undefined, body?: string }} options
 */
export function requestText({ method, cookie, body }) {
  const headers = [
    `${method} / HTTP/1.1`,
    'Host: 127.0.0.1',
    ...(cookie === undefined ? [] : [`Cookie: ${cookie}`]),
    ...(body === undefined ? [] : ['Content-Type: application/json', `Content-Length: ${body.length}`]),
  ]
  return `${headers.join('\r\n')}\r\n\r\n${body ?? ''}`
}
