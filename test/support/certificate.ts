// A key pair that certifies nothing. It was made for these tests, for the name localhost, and is valid for a hundred
// years.
export const privateKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggGvgaCV7JrBqrQdE
5G5ldQazjZRIPw7xbkj7hYa9X1uhRANCAAShDJEowY9Ce5frq1IsTib2mc63y+YF
pxqkpnPusxW9w0F+IMgjUgDs2C9UQfejeuOd+ud8lSeU17B7kDa8L8MW
-----END PRIVATE KEY-----`

export const certificate = `-----BEGIN CERTIFICATE-----
MIIBfjCCASWgAwIBAgIUKP53C3Lsyd0hvKCd0BNgqHFeaGcwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjA0NTEzMFoYDzIxMjYxMDI5
MDQ1MTMwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAShDJEowY9Ce5frq1IsTib2mc63y+YFpxqkpnPusxW9w0F+IMgjUgDs
2C9UQfejeuOd+ud8lSeU17B7kDa8L8MWo1MwUTAdBgNVHQ4EFgQUBdGYdVG2Hm9n
lpKnal/u8o6FNEswHwYDVR0jBBgwFoAUBdGYdVG2Hm9nlpKnal/u8o6FNEswDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBQsT9lntG3ietrpMJp8djU
aKTtJpc7mGPSJoSc2zgaIgIgaeXaErgr/auZDnljHfRaf/TISq4xdWipXlqqzCjn
stU=
-----END CERTIFICATE-----`
