#include "wasm/load.h"
#include "wasm/note.h"

/* Texts one behind the other, each with its zero: a table of pointers would take as much again. */
static const char *ep_wasm_nth_text(const char *texts, uint32_t index) {
  for (; index > 0u; index--) {
    while (*texts++ != '\0') {
    }
  }
  return texts;
}

/* In the order of ep_wasm_result_t. The spec's own tests name traps like this. */
static const char ep_wasm_result_names[] = "ok\0"
                                           "malformed\0"
                                           "invalid\0"
                                           "unsupported\0"
                                           "unlinkable\0"
                                           "limit\0"
                                           "unreachable\0"
                                           "out of bounds memory access\0"
                                           "out of bounds table access\0"
                                           "uninitialized element\0"
                                           "indirect call type mismatch\0"
                                           "integer divide by zero\0"
                                           "integer overflow\0"
                                           "invalid conversion to integer\0"
                                           "call stack exhausted\0"
                                           "fuel exhausted\0"
                                           "host trap\0"
                                           "unknown";

const char *ep_wasm_result_name(ep_wasm_result_t result) {
  const uint32_t index = (uint32_t)result;
  return ep_wasm_nth_text(ep_wasm_result_names, index <= EP_WASM_TRAP_HOST ? index : EP_WASM_TRAP_HOST + 1u);
}

/* What comes often in details is a byte there: the number of a word, from 1 on, in this list. */
static const char ep_wasm_words[] = "unknown \0"
                                    "segment\0"
                                    "type\0"
                                    "element\0"
                                    "function\0"
                                    "table\0"
                                    "memory\0"
                                    " kind\0"
                                    "integer too l\0"
                                    " mismatch\0"
                                    "data \0"
                                    "multiple \0"
                                    "export\0"
                                    "local\0"
                                    "operands\0"
                                    "size\0";
#define UNKNOWN       "\1"
#define SEGMENT       "\2"
#define TYPE          "\3"
#define ELEMENT       "\4"
#define FUNCTION      "\5"
#define TABLE         "\6"
#define MEMORY        "\7"
#define KIND          "\10"
#define INTEGER_TOO_L "\11"
#define MISMATCH      "\12"
#define DATA          "\13"
#define MULTIPLE      "\14"
#define EXPORT        "\15"
#define LOCAL         "\16"
#define OPERANDS      "\17"
#define SIZE          "\20"

#define LAST_WORD '\20'

void ep_wasm_note(ep_wasm_error_t *error, const char *detail) {
  const char *behind = NULL; /* the word that is being written */
  uint32_t i = 0;
  for (;;) {
    const char letter = *detail++;
    if (letter == '\0') {
      if (behind == NULL) break;
      detail = behind;
      behind = NULL;
    } else if ((uint8_t)letter <= LAST_WORD) {
      behind = detail;
      detail = ep_wasm_nth_text(ep_wasm_words, (uint32_t)(uint8_t)letter - 1u);
    } else if (i < sizeof error->detail - 1u) {
      error->detail[i++] = letter;
    }
  }
  error->detail[i] = '\0';
}

static const uint8_t ep_wasm_refusal_results[] = {
#define EP_WASM_REFUSAL(id, result, text) result,
#include "wasm/refusals.def"
#undef EP_WASM_REFUSAL
};

static const char ep_wasm_refusal_texts[] =
#define EP_WASM_REFUSAL(id, result, text) text "\0"
#include "wasm/refusals.def"
#undef EP_WASM_REFUSAL
    ;

#if defined(EP_WASM_REGISTERS)
__attribute__((naked)) void ep_wasm_attempt(__attribute__((unused)) void (*work)(void)) {
  __asm__ volatile("push {r3-r11, lr}\n\t" /* r3: the stack stays aligned to 8 */
                   "str sp, [r4]\n\t"
                   "blx r0\n\t"
                   "pop {r3-r11, pc}");
}
#else
void ep_wasm_attempt(LOADER_ void (*work)(LOADER)) {
  work(WITH);
}
#endif

void ep_wasm_refuse(LOADER_ ep_wasm_refusal_t why) {
#if !defined(EP_WASM_REGISTERS)
  if (loader->result != EP_WASM_OK) return;
#endif
  loader->result = (ep_wasm_result_t)ep_wasm_refusal_results[why];
  loader->error->offset = loader->at;
  ep_wasm_note(loader->error, ep_wasm_nth_text(ep_wasm_refusal_texts, (uint32_t)why));
#if defined(EP_WASM_REGISTERS)
  /* out of whatever is on the stack by now, back to who called ep_wasm_attempt() */
  __asm__ volatile("ldr sp, [r4]\n\t"
                   "pop {r3-r11, pc}");
  __builtin_unreachable();
#else
  loader->at = loader->end;
#endif
}
