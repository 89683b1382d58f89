const { writePinning } = require('./plugin.js')

// The plugin itself, as Fastify's own plugins are for `require()`. `fastify-plugin` has made it its own `default` and `writePinning`;
// what reads a module's names from its text reads these.
module.exports = writePinning
module.exports.default = writePinning
module.exports.writePinning = writePinning
