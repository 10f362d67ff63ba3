/* Leaves the emulator (needs -semihosting). For the conformance and self-test images. */
#ifndef EP_QEMU_SEMIHOSTING_H
#define EP_QEMU_SEMIHOSTING_H

#include <stdint.h>

/* QEMU exits with `code`. Flash writes that are in flight may be lost. */
void ep_semihosting_exit(uint32_t code) __attribute__((noreturn));

#endif
