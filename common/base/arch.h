/* SPDX-License-Identifier: MPL-2.0
 * arch.h - what programs built here run on: machine, kernel, C library. A program goes only to workers that say the same.
 */
#ifndef BASE_ARCH_H
#define BASE_ARCH_H

#if defined(__x86_64__)
#define BASE_ARCH_MACHINE "x86_64"
#elif defined(__aarch64__)
#define BASE_ARCH_MACHINE "aarch64"
#elif defined(__riscv) && __riscv_xlen == 64
#define BASE_ARCH_MACHINE "riscv64"
#elif defined(__powerpc64__)
#define BASE_ARCH_MACHINE "ppc64"
#elif defined(__s390x__)
#define BASE_ARCH_MACHINE "s390x"
#elif defined(__i386__)
#define BASE_ARCH_MACHINE "i386"
#elif defined(__arm__)
#define BASE_ARCH_MACHINE "arm"
#else
#define BASE_ARCH_MACHINE "unknown"
#endif

#if defined(__linux__)
#include <features.h>
#ifdef __GLIBC__
#define BASE_ARCH BASE_ARCH_MACHINE "-linux-gnu"
#else
#define BASE_ARCH BASE_ARCH_MACHINE "-linux-musl"
#endif
#else
#define BASE_ARCH BASE_ARCH_MACHINE "-unknown"
#endif

#endif
