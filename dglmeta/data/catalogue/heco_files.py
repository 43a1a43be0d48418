"""The catalogue's HeCo benchmark: its public files by checksum, and what is said of each set."""

from __future__ import annotations

from pathlib import Path

from dglmeta.data.catalogue.entry import Entry, github
from dglmeta.data.dataset import Card, Dataset
from dglmeta.data.formats.heco import ACM, AMINER, DBLP, FREEBASE, HecoLayout, read_heco

__all__ = ["HECO"]

ACM_SHA256 = {
    "pa.txt": "e67385fc13c3b3b624d81de7eb6e4245d9aeafa063c5466c6fab0f151bcb84d6",
    "ps.txt": "3da7615ef5567c5f7f1ab9ec770c4b4b8b6a54790baa1cda3d4499329dfc22d5",
    "p_feat.npz": "9e1019dfceaaabb19ee5b5f09de3147ffbaa818b43c3fc3f92bdfaf4ed5f02f4",
    "labels.npy": "019284b3e6a58fc8ebd432fb99aaaf183ad41dbf56b8ca7af0b56dca9dd844b5",
    "train_20.npy": "6bf4c1cef638f3ffe1826091b9be7fbff23a4935dfbde03c24b492d264d67684",
    "val_20.npy": "4280dccb661a50196502a39973a462919399fcfcd97b1d43581dfa9ca02d1b5d",
    "test_20.npy": "eb90e38c882009c6439d749d160d39ed64f8813e9f672c02be54993914934afa",
    "train_40.npy": "98239282e69e9775a9b13bc54598cc780eca31dcaeb81963efbbd4c6c3e51435",
    "val_40.npy": "19fb1e72b76bc24da95423d1a83583a42fe5b62d69b2b197312f630ff5096202",
    "test_40.npy": "f73d7e23459dd654a7567ee8bf123849f400096f8fac558dc37033d3fdc11aa6",
    "train_60.npy": "5b86f56415b84d1faa8c8f864cd37272589ec4ffff1b0ca347d4c39ee38dcc02",
    "val_60.npy": "e234b6c1e19445ed6cc3694a273b943bbded8e847a9d0246f18d59f76fb8cd5d",
    "test_60.npy": "5181ccdeacc54b88ed53681ba9f2c789cc6d67a499f40a68ac6827a96932b976",
}
DBLP_SHA256 = {
    "pa.txt": "94cf38a92733d21664f55907305773bb6fb90dd9d1579392517596488f061382",
    "pc.txt": "316182e11f19fddfc3a01ebd6541134a7c3931ee62262e638be607bb3f9768e4",
    "pt.txt": "78f3d6f9a528ed112a2d29bd2a672cdf13a03779a87ce89856e6a622eda280b8",
    "a_feat.npz": "997876bf8d90d29fdb90bf4801a9909893a9ee5646a85aeca079ce167595ec41",
    "labels.npy": "817efdc3ebb9e96067b8770dad5894b06ecabde2ac95d4b17443985f0439fda7",
    "train_20.npy": "85f0e91265931c8b1433ed7bd04e7e8f4c8c4246784d4443c147d6f24cccc709",
    "val_20.npy": "6c06b017a4c45c7cd9d01c67fb409336ddcd5c076edb9c90792cc2d027565d38",
    "test_20.npy": "a7fc6b67e477df8301915065b116fb7742d99f28323a2bf8bcb57663a2d5c490",
    "train_40.npy": "82cead2b36410b52729e2034c0e75de55779e718e4a35f7cc0a31b25526d8c2b",
    "val_40.npy": "b4c0b94ed81eeb28fe9bf6dd4a057de9093aa512caf4197165a2634568e7b2d5",
    "test_40.npy": "9af7116d1d11e656e4fc64dc11601353a3f37cad8fb9ffe8d71cf16d7e2a7ca6",
    "train_60.npy": "47086d378beda443b1a2aa1bb2d681e5a6d2b3e819a3e9850e365ea1f8f9b819",
    "val_60.npy": "7ba309a9daec8bd5d92e217cecc6a22d8547b7b0193a8a30855fffd41636cec6",
    "test_60.npy": "52122be025ae02256f82376bc62d1ba74083a4473a211e89a1389d67ca6e68bb",
}
FREEBASE_SHA256 = {
    "ma.txt": "058903c3ad171bbe4d9cf15d93f2aa5b3d2086ae0d2e0fd7b99e3e81632d1c5e",
    "md.txt": "dbe17829c81248a4103f5e9cb7b1cab8aa1308ee28f1465b10ac893a897d772f",
    "mw.txt": "866ff0bc4e263885f593ee72e4393445eb0d9f471db9eb2932780374b4467c9b",
    "labels.npy": "2410a09263b9d82e4bc58c36e4499ae8c5e2aa09011f71f5bbb73fda43bcf1fe",
    "train_20.npy": "55a5d0bca0420b29fa429b1df7651e0d9db52e6162b91ab7060a172cea0140de",
    "val_20.npy": "d97aef24309f9abfa47d7d969f0a4f9b677ef2e79959f618a7a2276f9b2caaf3",
    "test_20.npy": "a9db7585f6b3090e73560a166a1e2f6e65fc031ac41431d82e51d7a550e08aed",
    "train_40.npy": "83ee2b96cde50c8089af998b3b460adb3f876db49a75cb2c4801ba796788568e",
    "val_40.npy": "a0e069572440c844438b4a9f3c82faaee501a49b429875d525a0368f4b71aac1",
    "test_40.npy": "7a2527b316fb8c1e9271ab0a23e54a55d345b00c9563a71fa57d55516eb8af40",
    "train_60.npy": "c602957fafcbcceaafc0ed679aa2677a9d96e401cb678b51e87617304c271c6d",
    "val_60.npy": "49cd65ed8465889ed8d99cbb5af44d86ba580722d2ed33e4485b7600bf3a3071",
    "test_60.npy": "ac1dc9e45d960b1410bc29eae0de3f2cc617b714906644100abc5e1cba80c92a",
}
AMINER_SHA256 = {
    "pa.txt": "6e644c162db67840a414483890fe052fafa4deb4a3c5fa5a31e9bf7d87236885",
    "pr.txt": "04238431ee02107b88883b689c9920d77a5a718aca39b85cf7aa77f77aad1e5f",
    "labels.npy": "51a0500d6f74ee8745fc2d0f85c38dcdba064878980b890d5a347f29d68b531d",
    "train_20.npy": "609d9d70352f3a3db56a6c3e0ea97a2a5b8d943494b284fc61e747e00cc3c04e",
    "val_20.npy": "5ac76f040e62102026bc4202328b708fe8a6a1b8c99119d78eadbe7494db5eb8",
    "test_20.npy": "78a07809ebe756e471ad076b09847fbc87baf2813afab5d5a7888f1d7fa5edbd",
    "train_40.npy": "8c96436b60a5b43cbda238a8c3bea7ace6d43e17652f3d8d81bf4effcfe15e36",
    "val_40.npy": "b91f42687b34b6d306dcbb94b7cd5b9428dceaf2e4fe391d9b86a92ba2a94b4d",
    "test_40.npy": "6317d3a093fccec5c5daa3c4dd196c2281c9735d0d8204d38069bb5588415d79",
    "train_60.npy": "99a1d9510d177e6f68b68c7ffc4e69d7cb6118c53e8d343ac48ef4eeb2ae6ed5",
    "val_60.npy": "74fa03079f8117223a845764de01d66139ea9767385f8cfc58cc6d9b0d7cc65c",
    "test_60.npy": "0849876c17c16b23b64d7a7bf044ab7ae1012f5d18832583bd854af5d9dd5705",
}


def _heco(name: str, layout: HecoLayout, sha256: dict[str, str], title: str, note: str) -> Entry:
    """A set of the benchmark; the files it is read from, of the many published."""

    def read(folder: Path) -> Dataset:
        return read_heco(folder, layout)

    files = github(
        "liun-online/HeCo", "20e8ca2042838877b2c815279920218b6bbea1db", f"data/{name}", sha256
    )
    card = Card(
        title=title,
        source=f"github.com/liun-online/HeCo, data/{name}",
        licence="none stated",
        citation="Wang et al., Self-supervised heterogeneous graph neural network with "
        "co-contrastive learning (HeCo), KDD 2021 (arXiv 2105.09111)",
        note=f"{note} Published splits with 20, 40 and 60 training nodes a class, and 1,000 each "
        f"in valid and test.",
    )
    return Entry(read, f"heco/{name}", files, card, layout.metapaths)


HECO: dict[str, Entry] = {
    "heco-acm": _heco(
        "acm",
        ACM,
        ACM_SHA256,
        "ACM of HeCo: papers, authors and subjects",
        "Three classes of papers, another selection than acm. Rows of features sum to 1 as stored.",
    ),
    "heco-dblp": _heco(
        "dblp",
        DBLP,
        DBLP_SHA256,
        "DBLP of HeCo: authors, papers, conferences and terms",
        "Four classes of authors. Features are 0/1; 39 authors have none.",
    ),
    "heco-freebase": _heco(
        "freebase",
        FREEBASE,
        FREEBASE_SHA256,
        "Freebase of HeCo: movies, actors, directors and writers",
        "Three classes of movies. No features.",
    ),
    "heco-aminer": _heco(
        "aminer",
        AMINER,
        AMINER_SHA256,
        "AMiner of HeCo: papers, authors and references",
        "Four classes of papers. No features.",
    ),
}
"""Every set of the HeCo benchmark by name."""
