/** Says why the shop does not start, in words for the person who starts it. It is shown without a stack. */
export class StartError extends Error {}
