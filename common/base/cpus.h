/* SPDX-License-Identifier: MPL-2.0
 * cpus.h - how many cores this process may use: the least of online, affinity mask, and cgroup quota (v2 cpu.max along the path, v1
 * cpu.cfs_quota_us; rounded up), at least 1.
 */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H
int cpus_usable(void);
#endif
