export { WritePinningError, type WritePinningErrorCode } from './errors.ts'
