"""Speaks lines of JSON: a program of its own, that needs the standard library and espeak-ng.

    stdin   {"text", "voice", "rate", "pitch", "pitch_range"} a line
    stdout  for each: its audio, int16 mono at SAMPLE_RATE, and its phonemes, of the international
            alphabet in UTF-8; each after its number of bytes, uint32 little-endian

espeak-ng keeps the state of its noise source from one utterance to the next. So each is spoken in
a process forked from one that has only been initialised: the same line is the same bytes, whatever
was spoken before it. Forking is safe as nothing here has started a thread.

espeak-ng is free software under the GNU General Public License, version 3. It comes with the wheel
`espeakng-loader`, and is used while a corpus is prepared and nowhere else.
"""

import ctypes
import functools
import json
import os
import struct
import sys
from collections.abc import Callable
from typing import Any

import espeakng_loader

SAMPLE_RATE = 22050

# Of espeak-ng's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
CHARS_UTF8 = 1
PHONEMES_IPA = 2
RATE, PITCH, RANGE = 1, 3, 4

OnAudio = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def load() -> ctypes.CDLL:
    """espeak-ng, initialised and nothing more."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path().encode()
    sample_rate = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, data, 0)
    if sample_rate != SAMPLE_RATE:
        raise RuntimeError(f"espeak-ng did not start at {SAMPLE_RATE} Hz: {sample_rate}")
    return library


def synthesize(library: ctypes.CDLL, line: dict[str, Any]) -> bytes:
    """int16 samples of one utterance, spoken by a library that has spoken nothing yet."""
    chunks: list[bytes] = []

    @OnAudio
    def on_audio(samples: Any, count: int, events: Any) -> int:
        del events
        if samples and count:
            chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    library.espeak_SetSynthCallback(on_audio)
    library.espeak_ng_SetRandSeed(ctypes.c_long(0))
    if library.espeak_SetVoiceByName(line["voice"].encode()) != 0:
        raise RuntimeError(f"espeak-ng has no voice {line['voice']!r}")
    library.espeak_SetParameter(RATE, line["rate"], 0)
    library.espeak_SetParameter(PITCH, line["pitch"], 0)
    library.espeak_SetParameter(RANGE, line["pitch_range"], 0)
    text = line["text"].encode() + b"\0"
    library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, CHARS_UTF8, None, None)
    library.espeak_Synchronize()
    return b"".join(chunks)


def phonemes(library: ctypes.CDLL, text: str) -> str:
    """Of a text, in the accent of the voice that spoke last; stressed, words between spaces."""
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    written = ctypes.create_string_buffer(text.encode())
    rest = ctypes.c_void_p(ctypes.addressof(written))
    clauses = []
    while rest.value:
        clause = library.espeak_TextToPhonemes(ctypes.byref(rest), CHARS_UTF8, PHONEMES_IPA)
        clauses.append(clause.decode())
    return " ".join(clauses)


def run_in_fork(work: Callable[[], None]) -> None:
    """Runs `work` in a copy of this process, and fails where it does."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise SystemExit(f"an utterance could not be spoken (status {status})")


def main() -> None:
    library = load()

    def speak(line: str) -> None:
        request = json.loads(line)
        audio = synthesize(library, request)
        pronounced = phonemes(library, request["text"]).encode()
        with os.fdopen(1, "wb", closefd=False) as out:
            for part in (audio, pronounced):
                out.write(struct.pack("<I", len(part)) + part)

    for line in sys.stdin:
        run_in_fork(functools.partial(speak, line))


if __name__ == "__main__":
    main()
