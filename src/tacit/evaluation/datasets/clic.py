"""CLIC's validation and test sets."""

from __future__ import annotations

from pathlib import Path

from tacit.evaluation.datasets.dataset import Dataset
from tacit.evaluation.datasets.folder import folder_dataset

PROFESSIONAL_VALIDATION = tuple(
    sorted(
        f"{name}.png"
        for name in """
    alberto-montalesi-176097 alejandro-escamilla-6 ales-krivec-15949 alexander-shustov-73 allef-vinicius-109434
    amy-zhang-15940 andrew-ruiz-376 benjamin-sloth-lindgreen-705 casey-fyfe-999 clem-onojeghuo-33741
    daniel-robert-405 davide-ragusa-716 dogancan-ozturan-395 felix-russell-saw-140699 gian-reto-tarnutzer-45212
    jared-erondu-21325 jason-briscoe-149782 jeremy-cai-1174 juskteez-vu-1041 kazuend-28556 lobostudio-hamburg-75377
    martin-wessely-211 martyn-seddon-220 michael-durana-82941 mullermarc-184 nomao-saeki-33553 paul-itkin-46101
    philipp-reiner-207 philippe-wuyts-45997 roberto-nickson-48063 schicka-307 sergey-zolkin-1045 sergey-zolkin-21232
    stefan-kunze-26931 thong-vo-428 todd-quackenbush-222 todd-quackenbush-27493 veeterzy-82537 vita-vilcina-3055
    wojciech-szaturski-3611 zugr-108
""".split()
    )
)
"""The names of the 41 images of CLIC 2020's professional validation set."""


def clic_dataset(path: Path) -> Dataset:
    """Return the PNG files below a folder that holds one of CLIC's sets, or several."""
    everything = folder_dataset(path, "CLIC")
    images = tuple(image for image in everything.images if image.path.suffix.lower() == ".png")
    return Dataset("CLIC", images, (f"{len(images)} images of {path.name or 'CLIC'}",), everything.problems)
