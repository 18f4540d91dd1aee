// records: the linear check of an image's records, before its first boot. A module of its own,
// because boots of images that were checked before need only relocate.

export { validate, scratchBytes, readFaultAt } from "./validate";
export { checkRules, rulesScratchBytes } from "./rules";
