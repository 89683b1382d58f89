export { type RdsIamPasswordOptions, rdsIamPassword } from './rds-iam-password.ts'
