"""NumPy arrays that behave like CuPy's where the two differ, for the emulated device.

They refuse to be mixed with host arrays, reductions and single entries are arrays too, and the
namespace lacks what CuPy lacks: code that runs on them has a good chance to run on CuPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["DeviceArray", "Namespace"]


class DeviceArray(np.ndarray):
    """An array of the emulated device."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {**self.__array_interface__, "version": 3}

    def get(self) -> np.ndarray:
        """A copy on the host."""
        return np.array(self.view(np.ndarray))

    def set(self, host: np.ndarray) -> None:
        """Take over the numbers of a host array of the same shape and dtype."""
        assert type(host) is np.ndarray
        assert (host.shape, host.dtype) == (self.shape, self.dtype)
        self.view(np.ndarray)[...] = host

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "reduceat":
            raise NotImplementedError("CuPy has no reduceat")
        inputs = tuple(_plain(a) for a in inputs)
        if kwargs.get("out") is not None:
            outs = tuple(kwargs["out"])
            kwargs["out"] = tuple(_plain(o) for o in outs)
            getattr(ufunc, method)(*inputs, **kwargs)
            return outs[0] if len(outs) == 1 else outs
        return _on_device(getattr(ufunc, method)(*inputs, **kwargs))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if not _known(func.__name__, func.__module__):
            raise TypeError(f"CuPy has no {func.__module__}.{func.__name__}")
        return _call(func, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        return _on_device(super().view(np.ndarray)[_plain_key(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        super().view(np.ndarray)[_plain_key(key)] = _plain(value)

    def __iter__(self) -> Any:
        raise TypeError("iterating over a device array copies it number by number; use .get()")

    def __contains__(self, item: Any) -> bool:
        raise TypeError("use an array function")


def _method(name: str) -> Any:
    def call(self: DeviceArray, *args: Any, **kwargs: Any) -> Any:
        if name == "repeat":
            _no_array_of_repeats(args[0])
        plain = tuple(_plain(a) for a in args)
        out = kwargs.pop("out", None)
        result = getattr(self.view(np.ndarray), name)(*plain, **kwargs)
        if out is not None:
            out[...] = _on_device(result)
            return out
        return _on_device(result)

    return call


for _name in (
    "sum", "max", "min", "mean", "any", "all", "argmax", "argmin", "argsort", "cumsum", "prod",
    "repeat", "astype", "copy", "ravel", "reshape", "nonzero", "take", "searchsorted", "std",
):  # fmt: skip
    setattr(DeviceArray, _name, _method(_name))


def _known(name: str, module: str) -> bool:
    try:
        import cupy
    except ImportError:
        return True
    return hasattr(cupy.linalg if module.endswith("linalg") else cupy, name)


def _plain(a: Any) -> Any:
    """What NumPy computes with; refuses a host array, as CuPy does."""
    if isinstance(a, DeviceArray):
        return a.view(np.ndarray)
    if isinstance(a, np.ndarray):
        raise TypeError(f"Unsupported type <class 'numpy.ndarray'> of shape {a.shape}: on the host")
    if isinstance(a, list) and any(isinstance(part, np.ndarray) for part in a):
        return [_plain(part) for part in a]
    if isinstance(a, tuple) and any(isinstance(part, np.ndarray) for part in a):
        return tuple(_plain(part) for part in a)
    return a


def _plain_key(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(_plain_key(part) for part in key)
    return key.view(np.ndarray) if isinstance(key, np.ndarray) else key


def _on_device(value: Any) -> Any:
    if isinstance(value, np.generic):
        return np.asarray(value).view(DeviceArray)
    if isinstance(value, np.ndarray):
        return value.view(DeviceArray)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_on_device, value))
    if isinstance(value, tuple | list):
        return type(value)(map(_on_device, value))
    return value


def _no_array_of_repeats(repeats: Any) -> None:
    if isinstance(repeats, np.ndarray):
        raise ValueError("CuPy's repeat takes no array of repeats")


def _call(func: Any, args: Any, kwargs: Any) -> Any:
    if func.__name__ == "repeat":
        _no_array_of_repeats(args[1] if len(args) > 1 else kwargs["repeats"])
    if func.__name__ in ("concatenate", "stack", "append", "searchsorted"):
        parts = args[0] if func.__name__ in ("concatenate", "stack") else args[:2]
        if not all(isinstance(part, DeviceArray) for part in parts):
            raise TypeError(f"{func.__name__}: only cupy arrays can be joined or searched")
    out = kwargs.get("out")
    kwargs = {k: _plain(v) for k, v in kwargs.items()}
    result = func(*(_plain(a) for a in args), **kwargs)
    return out if out is not None else _on_device(result)


class Namespace:
    """What CuPy offers under NumPy's names."""

    ndarray = DeviceArray
    newaxis = None

    def __getattr__(self, name: str) -> Any:
        value = getattr(np, name)
        if isinstance(value, type) or not callable(value):
            return value
        if not _known(name, "numpy"):
            raise AttributeError(f"CuPy has no {name}")

        def call(*args: Any, **kwargs: Any) -> Any:
            return _call(value, args, kwargs)

        call.__name__ = name
        return call

    @staticmethod
    def asarray(a: Any, dtype: Any = None, **kwargs: Any) -> DeviceArray:
        """From the host to the device, or as it is."""
        plain = a.view(np.ndarray) if isinstance(a, DeviceArray) else np.array(a)
        return np.asarray(plain, dtype, **kwargs).view(DeviceArray)

    @staticmethod
    def ascontiguousarray(a: Any, dtype: Any = None) -> DeviceArray:
        """The same in one piece; refuses what lies on the host, as CuPy does."""
        if not isinstance(a, DeviceArray):
            raise TypeError(f"Argument 'a' has incorrect type (got {type(a).__name__})")
        return np.ascontiguousarray(a.view(np.ndarray), dtype).view(DeviceArray)

    @staticmethod
    def array(a: Any, dtype: Any = None, **kwargs: Any) -> DeviceArray:
        """A copy on the device."""
        plain = a.view(np.ndarray) if isinstance(a, DeviceArray) else a
        return np.array(plain, dtype, **kwargs).view(DeviceArray)

    @staticmethod
    def asnumpy(a: Any) -> np.ndarray:
        """From the device to the host."""
        return a.get() if isinstance(a, DeviceArray) else np.asarray(a)
