"""What tests of ckptfs expect of arrays, by NumPy and ml_dtypes."""

import ml_dtypes
import numpy as np

SMALL = ["bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz"]
FLOATS = ["float64", "float32", "float16", *SMALL]


def dtype_of(name):
    return np.dtype(getattr(ml_dtypes, name) if name in SMALL else name)


def same(found, expected, name):
    """Bit for bit, but for the bits of NaN."""
    assert found.dtype == expected.dtype and found.shape == expected.shape, (name, found.dtype, expected.dtype, found.shape)
    if found.dtype.kind in "OSiub":
        assert found.tolist() == expected.tolist(), name
        return
    with np.errstate(all="ignore"):
        wide = [x.astype(np.complex128 if x.dtype.kind == "c" else np.float64) for x in (found, expected)]
    np.testing.assert_array_equal(*wide, err_msg=name)
    for x in ([w.real for w in wide], [w.imag for w in wide]) if found.dtype.kind == "c" else (wide,):
        np.testing.assert_array_equal(*(np.signbit(y) & ~np.isnan(y) for y in x), err_msg=name)


def rounded(values, dtype):
    """Doubles as DTYPE. ml_dtypes goes by way of a float, which would round twice: the float is made odd where it is not exact."""
    if dtype.itemsize >= 4 or dtype == np.float16:
        return values.astype(dtype)
    with np.errstate(all="ignore"):
        single = values.reshape(-1).astype(np.float32)
    bits, back, wide = single.view(np.uint32).copy(), single.astype(np.float64), values.reshape(-1)
    inexact = ~np.isnan(wide) & (back != wide)
    bits[inexact & (np.abs(back) > np.abs(wide))] -= 1
    bits[inexact] |= 1
    return bits.view(np.float32).astype(dtype).reshape(values.shape)


def numbers_of(array):
    """The statistics of an array, by NumPy."""
    values = np.asarray(array).astype(np.float64).ravel()
    finite = values[np.isfinite(values)]
    some = finite if finite.size else np.zeros(1)
    with np.errstate(over="ignore"):
        return {"count": values.size, "zeros": int((values == 0).sum()), "nans": int(np.isnan(values).sum()),
                "infs": int(np.isinf(values).sum()), "min": some.min(), "max": some.max(), "mean": some.mean(),
                "std": some.std(), "norm": np.sqrt((some ** 2).sum())}


def same_numbers(said, array):
    """Sums of doubles may differ in their last bits: the measure is the largest number."""
    wanted = numbers_of(array)
    room = 1e-12 * max(abs(wanted["min"]), abs(wanted["max"]))
    for name, value in wanted.items():
        if said[name] is not None and np.isfinite(value):  # the square of a large number is infinite
            np.testing.assert_allclose(said[name], value, rtol=1e-9, atol=room if name in ("mean", "std") else 1e-300, err_msg=name)
