/* The words of the signature column of opcodes.def, for who reads that column: include it before the list. */
#ifndef EP_WASM_SIGNATURE_WORDS_H
#define EP_WASM_SIGNATURE_WORDS_H

#include "wasm/opcodes.h"

#define SPECIAL                EP_SIG_SPECIAL
#define I32                    EP_SIG_I32
#define I64                    EP_SIG_I64
#define F32                    EP_SIG_F32
#define F64                    EP_SIG_F64
#define UNARY(from, to)        (EP_SIG_NUMERIC | (to) | (from) << 2)
#define BINARY(from, to)       (EP_SIG_NUMERIC | (to) | (from) << 2 | EP_SIG_BINARY_BIT)
#define LOAD(type, alignment)  (EP_SIG_LOAD | (type) | (alignment) << 2)
#define STORE(type, alignment) (EP_SIG_STORE | (type) | (alignment) << 2)

#endif
