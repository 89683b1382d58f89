const { peerError } = require('../import-peer.js')

try {
  require('kysely')
} catch (cause) {
  throw peerError('write-pinning/kysely', 'kysely', cause)
}
