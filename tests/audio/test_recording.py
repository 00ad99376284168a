import io
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from jasr.audio.recording import duration_seconds, encode_flac, read_recording
from jasr.errors import UserError


def tone(sample_rate, seconds=0.5, hz=440.0):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * sample_rate)) / sample_rate)


def correlation(x, y):
    """Of what both have, their ends aside, where resampling and codecs ring."""
    inner = slice(1000, min(len(x), len(y)) - 1000)
    return np.corrcoef(x[inner], y[inner])[0, 1]


@pytest.mark.parametrize(
    ("name", "subtype", "sample_rate"),
    [
        ("a.wav", "PCM_16", 16_000),
        ("a.wav", "PCM_24", 44_100),
        ("a.wav", "PCM_U8", 8_000),
        ("a.wav", "FLOAT", 11_025),
        ("a.wav", "ULAW", 8_000),
        ("a.flac", "PCM_24", 48_000),
        ("a.flac", "PCM_16", 7_350),
        ("a.ogg", "VORBIS", 22_050),
        ("a.mp3", "MPEG_LAYER_III", 44_100),
    ],
)
def test_any_format_at_any_rate(tmp_path, name, subtype, sample_rate):
    path = tmp_path / name
    soundfile.write(path, tone(sample_rate), sample_rate, subtype=subtype)
    wave = read_recording(path, 16_000)
    assert wave.dtype == np.float32
    assert abs(len(wave) - 8_000) <= 1
    assert correlation(wave, tone(16_000)) > 0.999
    assert np.abs(wave[1000:-1000]).max() == pytest.approx(0.5, rel=0.05)
    assert duration_seconds(path) == pytest.approx(0.5, abs=1e-3)


def test_path_string_and_contents_give_the_same(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(16_000), 16_000)
    wave = read_recording(path, 16_000)
    np.testing.assert_array_equal(read_recording(str(path), 16_000), wave)
    np.testing.assert_array_equal(read_recording(path.read_bytes(), 16_000), wave)


def test_channels_are_averaged(tmp_path):
    path = tmp_path / "stereo.wav"
    left, right = tone(16_000), tone(16_000, hz=1000.0)
    soundfile.write(path, np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read_recording(path, 16_000), (left + right) / 2, atol=1e-6)


def test_24_bits_are_kept(tmp_path):
    path = tmp_path / "fine.wav"
    wave = np.array([1, -3, 7, 2**20 + 1], np.float64) / 2**23
    soundfile.write(path, wave, 16_000, subtype="PCM_24")
    np.testing.assert_array_equal(read_recording(path, 16_000), wave.astype(np.float32))


def test_real_recordings(real_data, speech):
    assert [wave.dtype for wave in speech] == [np.float32] * 3
    assert all(0.01 < np.abs(wave).max() <= 1 for wave in speech)
    path = real_data / "fsdd/audio/0_george_0.flac"
    assert len(speech[0]) == 2 * len(read_recording(path, 8_000))
    assert duration_seconds(path) == pytest.approx(len(speech[0]) / 16_000)


def test_flac_keeps_every_16_bit_sample():
    samples = np.arange(-32768, 32768, dtype=np.int16)
    wave = (samples / 32768).astype(np.float32)
    encoded = encode_flac(wave, 16_000)
    np.testing.assert_array_equal(read_recording(encoded, 16_000), wave)
    assert encode_flac(read_recording(encoded, 16_000), 16_000) == encoded


def test_flac_clips_what_is_too_loud():
    decoded = read_recording(encode_flac(np.array([2.0, -2.0, 0.5], np.float32), 8_000), 8_000)
    np.testing.assert_allclose(decoded, [1, -1, 0.5], atol=1e-4)


def assert_one_line(caught, *parts):
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize("read", [lambda path: read_recording(path, 16_000), duration_seconds])
def test_missing_file(tmp_path, read):
    with pytest.raises(UserError) as caught:
        read(tmp_path / "none.wav")
    assert_one_line(caught, "none.wav", "does not exist")


@pytest.mark.parametrize("read", [lambda path: read_recording(path, 16_000), duration_seconds])
def test_flac_of_unstated_length(tmp_path, read):
    contents = bytearray(encode_flac(np.zeros(1000, np.float32), 8_000))
    # The last 36 bits of these are the number of samples, 0 where it is not known.
    contents[21:26] = bytes([contents[21] & 0xF0, 0, 0, 0, 0])
    path = tmp_path / "piped.flac"
    path.write_bytes(contents)
    with pytest.raises(UserError) as caught:
        read(path)
    assert_one_line(caught, "piped.flac", "does not say how long it is", "convert it again")


@pytest.mark.parametrize("read", [lambda path: read_recording(path, 16_000), duration_seconds])
@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("notes.wav", b"these are only words\n" * 20),
        ("empty.flac", b""),
        ("zeros.raw", bytes(4000)),
        ("short.flac", encode_flac(np.zeros(1000, np.float32), 8_000)[:20]),
    ],
)
def test_not_audio(tmp_path, read, name, contents):
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(UserError) as caught:
        read(tmp_path / name)
    assert_one_line(caught, name, "is not audio", "expected WAV, FLAC")


@pytest.mark.parametrize("read", [lambda path: read_recording(path, 16_000), duration_seconds])
def test_folder(tmp_path, read):
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path)


@pytest.mark.parametrize("read", [lambda path: read_recording(path, 16_000), duration_seconds])
def test_no_samples(tmp_path, read):
    path = tmp_path / "silent.wav"
    soundfile.write(path, np.zeros(0), 16_000)
    with pytest.raises(UserError) as caught:
        read(path)
    assert_one_line(caught, "silent.wav", "no samples")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers(tmp_path, bad):
    path = tmp_path / "bad.wav"
    wave = tone(16_000)
    wave[1600] = bad
    soundfile.write(path, wave, 16_000, subtype="FLOAT")
    with pytest.raises(UserError) as caught:
        read_recording(path, 8_000)
    assert_one_line(caught, "bad.wav", "sample 1600", "0.100 s", str(bad))


def test_damaged_contents_name_what_they_belong_to():
    contents = bytearray(encode_flac(tone(16_000).astype(np.float32), 16_000))
    contents[len(contents) // 2 :][:40] = bytes(40)
    with pytest.raises(UserError) as caught:
        read_recording(bytes(contents[: len(contents) // 2]), 16_000, name="utterance 'a1'")
    assert_one_line(caught, "utterance 'a1'", "is not audio")


@pytest.mark.parametrize("sample_rate", [1, 4_000_000])
def test_absurd_rate(sample_rate):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(100), sample_rate, format="WAV")
    with pytest.raises(UserError, match=f"x.wav claims {sample_rate} Hz"):
        read_recording(file.getvalue(), 16_000, name="x.wav")


def test_the_room_imports_neither_numba_nor_a_backend():
    code = (
        "import sys, jasr.audio.log_mel, jasr.audio.spec_augment, jasr.audio.waveform\n"
        "import jax\n"
        "assert 'numba' not in sys.modules and 'librosa' not in sys.modules\n"
        "assert not jax._src.xla_bridge._backends"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
