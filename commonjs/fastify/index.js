const { writePinning } = require('./plugin.js')

// `require()` gives the plugin itself, as for Fastify's own plugins. `fastify-plugin` has already set its `default`
// and `writePinning`. Tools that read the names of a module from its text find them in these lines.
module.exports = writePinning
module.exports.default = writePinning
module.exports.writePinning = writePinning
