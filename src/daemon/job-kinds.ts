/** Kinds of jobs that this daemon runs. */
export const bootstrapJob = "cluster.bootstrap";
export const addDisksJob = "disk.add";
/** By what they do with one OSD. */
export const osdJobs = { restart: "disk.restart", stop: "disk.stop", start: "disk.start" } as const;
