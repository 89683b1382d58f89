const { peerError } = require('../import-peer.js')

try {
  require('knex')
} catch (cause) {
  throw peerError('write-pinning/knex', 'knex', cause)
}
