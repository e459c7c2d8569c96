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
#else
#error "Broadfork is built for 64-bit machines: x86_64, aarch64, riscv64, powerpc64, s390x"
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
