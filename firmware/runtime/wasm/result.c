#include "wasm/load.h"

/* Texts one behind the other, each with its zero: a table of pointers would take as much again. */
static const char *ep_wasm_nth_text(const char *texts, uint32_t index) {
  for (; index > 0u; index--) {
    while (*texts++ != '\0') {
    }
  }
  return texts;
}

/* What comes often in texts is a byte there: the number of a word, from 1 on, in this list. */
static const char ep_wasm_words[] = "unknown \0"
                                    "ment\0"
                                    "integer\0"
                                    "type\0"
                                    "ction\0"
                                    "able\0"
                                    "memor\0"
                                    " mismatch\0"
                                    "out of bounds \0"
                                    "port\0"
                                    " kind\0"
                                    " exhausted\0"
                                    "data \0"
                                    "local\0"
                                    "multiple \0"
                                    "expected\0"
                                    "operands\0"
                                    "invalid\0"
                                    " access\0"
                                    "call\0"
                                    "version\0"
                                    "too \0"
                                    "size\0"
                                    "vector \0"
                                    "global\0"
                                    "limit\0"
                                    "count\0";
#define UNKNOWN       "\1"
#define MENT          "\2"
#define INTEGER       "\3"
#define TYPE          "\4"
#define CTION         "\5"
#define ABLE          "\6"
#define MEMOR         "\7"
#define MISMATCH      "\10"
#define OUT_OF_BOUNDS "\11"
#define PORT          "\12"
#define KIND          "\13"
#define EXHAUSTED     "\14"
#define DATA          "\15"
#define LOCAL         "\16"
#define MULTIPLE      "\17"
#define EXPECTED      "\20"
#define OPERANDS      "\21"
#define INVALID       "\22"
#define ACCESS        "\23"
#define CALL          "\24"
#define VERSION       "\25"
#define TOO           "\26"
#define SIZE          "\27"
#define VECTOR        "\30"
#define GLOBAL        "\31"
#define LIMIT         "\32"
#define COUNT         "\33"
/* and what is made of them */
#define SEGMENT  "seg" MENT
#define ELEMENT  "ele" MENT
#define FUNCTION "fun" CTION
#define TABLE    "t" ABLE
#define MEMORY   MEMOR "y"
#define EXPORT   "ex" PORT
#define IMPORT   "im" PORT

#define LAST_WORD '\33'

/* In the order of ep_wasm_result_t. The spec's own tests name traps like this. */
static const char ep_wasm_result_names[] =
    "ok"
    "\0"
    "malformed"
    "\0" INVALID "\0"
    "unsup" PORT "ed"
    "\0"
    "unlink" ABLE "\0" LIMIT "\0"
    "unreach" ABLE "\0" OUT_OF_BOUNDS MEMORY ACCESS "\0" OUT_OF_BOUNDS TABLE ACCESS "\0"
    "uninitialized " ELEMENT "\0"
    "indirect " CALL " " TYPE MISMATCH "\0" INTEGER " divide by zero"
    "\0" INTEGER " overflow"
    "\0" INVALID " con" VERSION " to " INTEGER "\0" CALL " stack" EXHAUSTED "\0"
    "fuel" EXHAUSTED "\0"
    "host trap"
    "\0";

/* The empty ones go on to the next result. */
static const char ep_wasm_refusal_texts[] =
#define EP_WASM_REFUSAL(id, text)   text "\0"
#define EP_WASM_NEXT_RESULT(result) "\0"
#include "wasm/refusals.def"
#undef EP_WASM_REFUSAL
#undef EP_WASM_NEXT_RESULT
    ;

/* Writes a text of these, cut to what fits. */
static void ep_wasm_note(ep_wasm_error_t *error, const char *text) {
  const char *behind = NULL; /* the word that is being written */
  uint32_t i = 0;
  for (;;) {
    const char letter = *text++;
    if (letter == '\0') {
      if (behind == NULL) break;
      text = behind;
      behind = NULL;
    } else if ((uint8_t)letter <= LAST_WORD) {
      behind = text;
      text = ep_wasm_nth_text(ep_wasm_words, (uint32_t)(uint8_t)letter - 1u);
    } else if (i < sizeof error->detail - 1u) {
      error->detail[i++] = letter;
    }
  }
  error->detail[i] = '\0';
}

void ep_wasm_name_result(ep_wasm_result_t result, ep_wasm_error_t *error) {
  ep_wasm_note(error, ep_wasm_nth_text(ep_wasm_result_names, (uint32_t)result));
}

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
  const char *text = ep_wasm_refusal_texts;
  uint32_t left = why;
#if !defined(EP_WASM_REGISTERS)
  if (loader->result != EP_WASM_OK) return;
#endif
  loader->error->offset = loader->at;
  loader->result = EP_WASM_MALFORMED;
  for (;; text = ep_wasm_nth_text(text, 1)) {
    if (*text == '\0')
      loader->result++;
    else if (left-- == 0u)
      break;
  }
  ep_wasm_note(loader->error, text);
#if defined(EP_WASM_REGISTERS)
  /* out of whatever is on the stack by now, back to who called ep_wasm_attempt() */
  __asm__ volatile("ldr sp, [r4]\n\t"
                   "pop {r3-r11, pc}");
  __builtin_unreachable();
#else
  loader->at = loader->end;
#endif
}
