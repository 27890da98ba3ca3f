"""Whole batches mapped by compiled code: the same numbers as dl1_data_handler's, bit by bit."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
from dl1_data_handler.image_mapper import ImageMapper
from scipy.sparse import csr_matrix
from traitlets.config import Config

from cherenkov_mlops.dl1 import mapping
from cherenkov_mlops.dl1.mapping import StoredMapper, find_mapper, map_images
from cherenkov_mlops.simulation.instrument import sst1m_pair

RNG = np.random.default_rng(3)
NAMES = (
    "AxialMapper",
    "BilinearMapper",
    "HexagdlyMapper",
    "NearestNeighborMapper",
    "ShiftingMapper",
)


def camera():
    """DigiCam's geometry, a fresh copy."""
    return copy.deepcopy(sst1m_pair().tel[21].camera.geometry)


@pytest.fixture(scope="module", params=NAMES)
def mapper(request):
    return ImageMapper.from_name(request.param, geometry=camera())


def map_batch(mapper, pixels, rows):
    """Square images of the rows."""
    shape = (mapper.image_shape, mapper.image_shape, pixels.shape[-1])
    images = np.zeros((len(rows), *shape), dtype=np.float32)
    map_images(mapper, pixels, rows, images, np.arange(len(rows)))
    return images


@pytest.mark.parametrize("n_channels", [1, 2, 3, 50])
@pytest.mark.parametrize("share", [1.0, 0.03])
def test_the_sums_are_those_of_upstream(mapper, n_channels, share):
    pixels = RNG.normal(size=(70, 1296, n_channels)).astype(np.float32)
    # As masking leaves them: some of the zeros are negative.
    pixels *= RNG.random(pixels.shape) < share
    rows = RNG.integers(0, len(pixels), 45)
    expected, got = mapper.map_image(pixels[rows]), map_batch(mapper, pixels, rows)
    assert np.array_equal(expected.view(np.uint32), got.view(np.uint32))


def test_images_go_to_their_places():
    mapper = ImageMapper.from_name("AxialMapper", geometry=camera())
    pixels = RNG.random((3, 1296, 1)).astype(np.float32)
    images = np.zeros((5, mapper.image_shape, mapper.image_shape, 1), dtype=np.float32)
    map_images(mapper, pixels, np.array([2, 0]), images, np.array([4, 1]))
    assert np.array_equal(images[4], mapper.map_image(pixels[2]))
    assert np.array_equal(images[1], mapper.map_image(pixels[0]))
    assert not images[[0, 2, 3]].any()


def test_a_cell_may_have_any_number_of_pixels():
    weights = csr_matrix(RNG.random((6, 9)) * (RNG.random((6, 9)) < 0.7), dtype=np.float32)
    mapper = SimpleNamespace(mapping_table=weights, image_shape=3)
    pixels = RNG.random((40, 6, 2)).astype(np.float32)
    expected = ImageMapper.map_image(mapper, pixels)
    assert np.array_equal(expected, map_batch(mapper, pixels, np.arange(40)))


class TestStoredMappers:
    """Tables of interpolating mappers are kept in the user's cache folder."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr(mapping, "_cache_folder", lambda: tmp_path)
        monkeypatch.setattr(mapping, "_built", {})
        return tmp_path

    def find(self, **options):
        mapping._built.clear()
        return find_mapper("BilinearMapper", camera(), Config({"BilinearMapper": options}))

    def test_the_second_process_finds_the_same_table(self, folder):
        built, found = self.find(), self.find()
        assert not isinstance(built, StoredMapper) and isinstance(found, StoredMapper)
        assert (built.mapping_table != found.mapping_table).nnz == 0
        assert built.image_shape == found.image_shape == 96
        assert built.geometry == found.geometry
        pixels = RNG.random((5, 1296, 2)).astype(np.float32)
        assert np.array_equal(built.map_image(pixels), found.map_image(pixels))

    def test_other_options_are_another_table(self, folder):
        self.find()
        assert self.find(interpolation_image_shape=40).image_shape == 40
        assert len(list(folder.glob("*.npz"))) == 2

    def test_a_damaged_table_is_built_again(self, folder):
        self.find()
        (path,) = folder.glob("*.npz")
        path.write_bytes(path.read_bytes()[:1000])
        assert not isinstance(self.find(), StoredMapper)
        assert isinstance(self.find(), StoredMapper)

    def test_where_nothing_can_be_kept_it_is_built(self, monkeypatch):
        monkeypatch.setattr(mapping, "_cache_folder", lambda: None)
        assert self.find().image_shape == 96

    def test_the_geometry_is_derotated_as_by_upstream(self):
        for _ in range(2):
            geometry = camera()
            mapping._built.clear()
            find_mapper("BilinearMapper", geometry, Config())
            assert geometry.pix_rotation.value == 0
