const { peerError } = require('../import-peer.js')

try {
  require('pg')
} catch (cause) {
  throw peerError('write-pinning/pg', 'pg', cause)
}
