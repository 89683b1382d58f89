/** Packages that a page names, that only some users have, and that the repository does not install. */
declare module '@google-cloud/cloud-sql-connector'
declare module '@jest/globals'
declare module '@prisma/extension-read-replicas'
declare module 'next'
declare module 'next/headers'
declare module 'next/navigation'
