"""`nvidia-smi -q -x`: what the driver knows of each GPU.

Documented in the nvidia-smi manual page and in the document type that the output names (nvsmi_device_v*.dtd):
nvidia_smi_log > attached_gpus, gpu > ecc_errors, remapped_rows, temperature, pci, fabric. What a GPU does not have
reads N/A. No entity is ever declared by the tool; text that declares one is refused before it is expanded.
"""

from collections.abc import Iterator
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from fermata.adapters.health_parsers.reading import bounded, to_number
from fermata.domain.health import Figure, Findings, Unreadable, shorten

DEPTH_MAX = 32
ELEMENTS_MAX = 100_000
GPUS_MAX = 64
NOTHING = frozenset({"", "N/A", "[N/A]", "Not Supported", "None", "Requested functionality has been deprecated"})
WELL_JOINED = frozenset({"Completed", "Not Supported"})


def parse(text: str, _exit_code: int) -> Findings:
    """Uncorrectable errors since the driver was loaded, failed remapping and missing GPUs are faults; pending
    remapping, narrow links and what asks for a reset are doubts. Figures: gpus, temperature, uncorrectable_ecc.
    Raises Unreadable.
    """
    root = _read(bounded(text))
    if root.tag != "nvidia_smi_log":
        raise Unreadable(f"it is no nvidia_smi_log but a {shorten(root.tag)}")
    gpus = root.findall("gpu")
    if not 0 < len(gpus) <= GPUS_MAX:
        raise Unreadable(f"it lists {len(gpus)} GPUs")
    faults = [f"{_name(gpu)}: {words}" for gpu in gpus for words in _faults(gpu)]
    attached = to_number(root.findtext("attached_gpus", "").strip())
    if attached is None or attached != len(gpus):
        faults.append(f"{root.findtext('attached_gpus', 'no')} GPUs are attached and {len(gpus)} are listed")
    doubts = [f"{_name(gpu)}: {words}" for gpu in gpus for words in _doubts(gpu)]
    return Findings(faults=tuple(faults), doubts=tuple(doubts), figures=tuple(_figures(gpus)))


def _faults(gpu: Element) -> Iterator[str]:
    errors = _uncorrectable(gpu)
    if errors > 0:
        yield f"{errors:.0f} uncorrectable ECC errors since the driver was loaded"
    if _said(gpu, "remapped_rows/remapped_row_failure") == "Yes":
        yield "rows could not be remapped"
    status = _said(gpu, "fabric/status")
    if status not in NOTHING and status not in ("Success", "N/A"):
        yield f"its fabric says {shorten(status)}"


def _doubts(gpu: Element) -> Iterator[str]:
    if _said(gpu, "remapped_rows/remapped_row_pending") == "Yes":
        yield "a remapped row waits for a reset"
    state = _said(gpu, "fabric/state")
    if state not in NOTHING and state not in WELL_JOINED:
        yield f"its fabric is {shorten(state)}"
    action = _said(gpu, "gpu_recovery_action")
    if action not in NOTHING:
        yield f"it asks for {shorten(action)}"
    widths = "pci/pci_gpu_link_info/link_widths/"
    most, now = _said(gpu, f"{widths}max_link_width"), _said(gpu, f"{widths}current_link_width")
    if most not in NOTHING and now not in NOTHING and most != now:
        yield f"its link is {shorten(now)} wide, of {shorten(most)}"


def _figures(gpus: list[Element]) -> Iterator[Figure]:
    yield Figure(name="gpus", value=len(gpus))
    yield Figure(name="uncorrectable_ecc", value=sum(map(_uncorrectable, gpus)))
    for index, gpu in enumerate(gpus):
        degrees = to_number(_said(gpu, "temperature/gpu_temp").removesuffix("C").strip())
        if degrees is not None:
            yield Figure(name=f"temperature:{index}", value=degrees, unit="°C")


def _uncorrectable(gpu: Element) -> float:
    """Of the counts since the driver was loaded, all whose name says so."""
    volatile = gpu.find("ecc_errors/volatile")
    if volatile is None:
        return 0.0
    leaves = [each for each in volatile.iter() if "uncorrectable" in each.tag or each.tag == "total"]
    under_double = volatile.find("double_bit")  # of drivers before 450
    counted = [each for each in leaves if each.tag != "total" or (under_double is not None and each in under_double)]
    return sum(to_number((each.text or "").strip()) or 0.0 for each in counted)


def _said(gpu: Element, path: str) -> str:
    return (gpu.findtext(path) or "").strip()


def _name(gpu: Element) -> str:
    return f"GPU {shorten(gpu.get('id', 'without an id'))}"


def _read(text: str) -> Element:
    builder, reader = TreeBuilder(), expat.ParserCreate()
    depth = count = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > DEPTH_MAX or count > ELEMENTS_MAX:
            raise Unreadable("it is nested deeper, or has more elements, than the tool prints")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    reader.StartElementHandler, reader.EndElementHandler = start, end
    reader.CharacterDataHandler = builder.data
    reader.EntityDeclHandler = _refuse
    try:
        reader.Parse(text, True)
    except (expat.ExpatError, ValueError) as error:  # a text that is no UTF-8, too
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"it is no XML: {error}") from error
    return builder.close()


def _refuse(*_declared: object) -> NoReturn:
    raise Unreadable("it declares entities")
