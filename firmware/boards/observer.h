/* What the outside observer of a board is told of each scan. Whoever listens can tell missed scans, gaps in
 * time and which agent made which output, without asking the board. How the bytes leave is each board's own
 * matter.
 *
 *   u32 scan, u32 time in microseconds, u32 swap number, 4 × f32 output, u32 CRC-32 of what precedes
 *
 * all little endian, as a COBS frame that ends with 0x00.
 */
#ifndef EP_OBSERVER_H
#define EP_OBSERVER_H

#include <stdint.h>

#define EP_OBSERVER_OUTPUTS 4u
#define EP_OBSERVER_RECORD  (12u + 4u * EP_OBSERVER_OUTPUTS + 4u)
#define EP_OBSERVER_FRAME   (EP_OBSERVER_RECORD + 2u) /* COBS adds one byte below 254, then the delimiter */

/* Makes the frame of a scan that is running now; outputs beyond `count` are told as 0. [scan] */
void ep_observer_frame(uint8_t frame[EP_OBSERVER_FRAME], const float *outputs, uint32_t count, uint64_t scan,
                       uint32_t swap_number);

#endif
