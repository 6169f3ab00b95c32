/** Kinds of jobs that this daemon runs. */
export const bootstrapJob = "cluster.bootstrap";
export const addDisksJob = "disk.add";
/** By what they do with one OSD. */
export const osdJobs = {
  restart: "disk.restart",
  stop: "disk.stop",
  start: "disk.start",
  "rotate-key": "disk.rotate-key",
} as const;
export const planDomainJob = "failure-domain.plan";
export const setDomainJob = "failure-domain.set";
export const removeDiskJob = "disk.remove";
export const adoptDisksJob = "disk.adopt";
export const replaceDiskJob = "disk.replace";
export const tokenJoinJob = "cluster.join";
export const maintenanceJob = "cluster.maintenance";
export const removeMemberJob = "cluster.remove";
export const migrateJob = "cluster.migrate";
export const networksJob = "cluster.networks";
export const upgradeJob = "cluster.upgrade";
export const restartServiceJob = "service.restart";
export const changeConfigJob = "config.change";
export const removePoolJob = "pool.remove";
export const removeS3UserJob = "s3.user.remove";
export const removeFileSystemJob = "fs.remove";
export const promoteSiteJob = "replication.promote";
export const demoteSiteJob = "replication.demote";
export const setReplicasJob = "pool.replicas";
export const setZoneJob = "zone.set";
export const serviceJob = "service.place";
export const recoverJob = "cluster.recover";
export const rebuildJob = "monitors.rebuild";
