"""LibriSpeech from its own archives, streamed: nothing is unpacked, FLAC bytes are kept.

    train-clean-100.tar.gz
        LibriSpeech/train-clean-100/103/1240/103-1240-0000.flac
        LibriSpeech/train-clean-100/103/1240/103-1240.trans.txt     103-1240-0000 CHAPTER ONE ...

Panayotov, Chen, Povey, Khudanpur, "LibriSpeech: an ASR corpus based on public domain audio
books", ICASSP 2015. Archives of the same layout (LibriSpeech's dev-clean-2, say) work too.
"""

import hashlib
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from jasr.corpora.source import NoOptions, Recording, RecordingStream, Source
from jasr.errors import UserError

SUFFIX = ".tar.gz"


class LibrispeechSource(Source):
    """One split for each archive in the folder, of the archive's name."""

    needs_source = "the folder with LibriSpeech's archives (dev-clean.tar.gz and so on)"

    def __init__(self, source: Path, options: NoOptions):
        del options
        self.archives = sorted(source.glob(f"*{SUFFIX}"))
        if not self.archives:
            raise UserError(
                f"{source} holds no LibriSpeech archive: expected *{SUFFIX} files in it"
            )

    def fingerprint(self) -> str:
        """Of the archives' names and sizes; hashing 60 GB would take as long as preparing."""
        sizes = [f"{archive.name} {archive.stat().st_size}\n" for archive in self.archives]
        return hashlib.sha256("".join(sizes).encode()).hexdigest()

    def splits(self) -> Mapping[str, RecordingStream]:
        return {
            archive.name.removesuffix(SUFFIX): RecordingStream(_recordings(archive))
            for archive in self.archives
        }


def _recordings(archive: Path) -> Iterator[Recording]:
    """A chapter's audio waits for its transcript, which may come after it: some 25 MB at most."""
    waiting: dict[str, dict[str, bytes]] = defaultdict(dict)
    texts: dict[str, dict[str, str]] = {}
    for path, contents in _files(archive):
        chapter = str(path.parent)
        if path.name.endswith(".trans.txt"):
            texts[chapter] = _transcripts(path, contents)
        else:
            waiting[chapter][path.stem] = contents
        if chapter in texts:
            for id_, flac in waiting.pop(chapter, {}).items():
                yield _recording(id_, flac, texts[chapter].get(id_))
    for untold in waiting.values():
        for id_, flac in untold.items():
            yield _recording(id_, flac, None)


def _recording(id_: str, flac: bytes, text: str | None) -> Recording:
    speaker, _, rest = id_.partition("-")
    return Recording(id_, flac, text, speaker, {"chapter": rest.partition("-")[0]})


def _files(archive: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Audio and transcripts, as they come. Names in the archive are only read, never written to."""
    try:
        with tarfile.open(archive, "r|gz") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                file = tar.extractfile(member)
                if file is not None and path.name.endswith((".flac", ".trans.txt")):
                    yield path, file.read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UserError(
            f"{archive} is damaged or incomplete ({error}): download it again"
        ) from error


def _transcripts(path: PurePosixPath, contents: bytes) -> dict[str, str]:
    try:
        lines = contents.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} in the archive is not UTF-8 text (byte {error.start})") from error
    pairs = [line.split(maxsplit=1) for line in lines if line.strip()]
    return {id_: (words[0].strip() if words else "") for id_, *words in pairs}
