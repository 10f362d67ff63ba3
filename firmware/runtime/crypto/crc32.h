/* CRC-32/ISO-HDLC: polynomial 0x04C11DB7, reflected 0xEDB88320, initial value and final XOR all ones;
 * equal to zlib, Ethernet and npm `crc-32`. Check value of "123456789": 0xCBF43926. */
#ifndef EP_CRYPTO_CRC32_H
#define EP_CRYPTO_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to start) over `size` bytes. */
uint32_t ep_crc32(uint32_t crc, const void *data, size_t size);

#endif
