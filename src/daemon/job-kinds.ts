/** Kinds of jobs that this daemon runs. */
export const bootstrapJob = "cluster.bootstrap";
export const addDisksJob = "disk.add";
