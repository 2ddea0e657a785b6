"""RSA keys of primes that stand here: finding primes takes seconds, and luck.

What it is: throw-away numbers; any two of a size are a key. What it is not: keys of anybody.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import combinations, count
from textwrap import dedent

from cryptography.hazmat.primitives.asymmetric import rsa

_EXPONENT = 65537
_PRIMES = {
    1024: """
        f044ac401689a4f5b479880282943f19b22991f2a0ad57185b601475c67cb427390ad482a3ef6f46ea71d4a2eb245733
        7d374ecafb79db206f35720e9a008dfd

        c1751f47d5351baa351071d8f122b74d9a9bf372de136ed72020239d45c430f61f4c4cf850cae649c46c8a223c5d31b9
        6bfd52e00be5f577099510876fb5368b

        f1754b6409e9fd36f23bca7cc1246c3c4d7760ea04103ab7a7d28a6d7f11fd6a3b082370a62f7e432e18e88a04ea52a5
        1272f0678e23384f19cc0b69a86f8f23

        edf2fc1694ea4910072381fc75c535d6b556f0401c4a162f3e367e83e5062f2d8844a9673e70850843f36bae857b5506
        330553972e0e9578e9c5f874f7b68201
    """,
    2048: """
        e05f4cbac92008d59883b8f3cd11cf3731b0095864579e8cdfd72f01e7948a6d71aeffacb06d6c9ade1a37cc09d3541d
        0d042c35586a64ffcbd5c34a5924ed4be4e1691aca6279a2fdd165823fae15f468876d62a3fa2b60b2989994b4ef012f
        6ef99970bb7896848011107dfbfd4cf2541e79201526b26ed9fc49f7885ffc27

        bab25b23cc975732f8fa6b93388507f96efe04dc03d63f9794f2b7521b55031c388bf1f9863421839e293f21fed9d88f
        86f0e5e339a1b9612852a71c35124ac1dbb835431fa392054220e27054fcb433cc0d27154253e3e89b7cc70835a69ce4
        0fc8d5ecad4f3735359507eb573f4c75d9b604c00beb32dd2e0c0a5521568a55

        e59e550a0d1f2b64433ea5ed8b4365badb4fc70f5f112df812d9568d46162c7bdca83001add16dcd86d905e23a1ee49d
        266cb843502486f5f7834fc4a1e6865590ef24e5a08fdf1498930ea8e5c2d4994573498a493e44ef73d07d89dfb39eec
        15adf9c8efae07de57e61fc9311d346dc747e4a2e7b5b04abb3dbd29d267c315

        e379408ae85d954fd4c9309745f670fb79787a72c5d83c6a0062f0b2cb033c89b17142bbe868f5fe2d6c4a5dfdab981a
        76fcd65b0b2359006227a7b116c8d55495b24030ff4672ff8f789ea07ec5d66696f7f3907748abb6944908bcac0bab9d
        89a463d5ea4b660a9f166d6b7fe74a2a6961bfc66689908dc993c3e7a5c3c001

        ea4b31a1812767fbd55c9905c2c02fd604cd79571297592dce31a9db1803e4091adc2cc9e94e2d4db16ce72c4f3ccaee
        1cba8273ce9e7ccfc1af7a32521ae7310c25259b85a6d5a07e21e6c3bd24e12c7e477f633b1d139e759caab2620b61c6
        68027888f01e888d5a4da6f6b6833dba6f92c2f3712f949bcc3b5eb7e3168f89

        d5c7dc4f74862fdcd0c3d515d8a3143c3f0a4700130692cfaa8c89ee28c57053d5611a36847fd187efcac2db72612ca7
        e19706bd96281ced56b5e57d61cde4eebab05f18e7c3d99177fbd8b2e9292025d8ccfcdcecf2b99938d0f2c8d7ae7973
        6b2410d2c02e59f46ecd2119937a1e3c25d6220ffcf7090743fb1bca509cb2bf

        d67f9397cee42aa21f2952f1bfa032db17b7f90ed9fc189082f3a987f12f365018321e5347d134a6e6837b2e0d5e3995
        0c88a1486ae8c1da61c90861d4f21e1c66a014ed93e2cb7ab0ead01a1f15e90528d229bdd497a85627266e71e4ea1d45
        92c42257b8476cdaca4b2667ec90e13fcadae4eb7ec092a6765df9ff9d56f8d1

        c08b32bfd9eb5bbb16dcd633e696f3a37acbeae9fb141c8d6803cc57d642346d06a6ab137a7a26181f40f5b8b0267c50
        49ceb369943c8134ecf86778e82086d76be6fd768be3fbf43ea51c2d9b2c6f1181f8dc3e4d6c03868758ab4f208fc69c
        5c96b59ec3e8d067ecf9901191710b7fdb8b7a4851ec5b6a1dd98ff7afa5abcb
    """,
    3072: """
        f49e297dbd1562fe9913ed60cfebc3838d7c46c536041f748cd8d310d86052017da46bf4778bb2758b389b547057d898
        0449039bc23c3242adbb817b3df1f6d976245c47f31fa1bdbbefdc8800965160af68733ac8d7a41057a654fa8bbce058
        3db55d7165492e3ff93637205d68790bd67397fcc2f0d90cb53ddbb4867dbda353a203fd032e8feab7beedadcde52a9b
        435053dfc6ee9e4caeb8aa4e025cd3ba09bc83c3aaf44c50dff1f507842bd7d11f25042d5e58a035528fa5f4d613f997

        d75bb51641c5e73339538211ebaa1d7230de61fa8f193f5ae16447e2592555ca40d212f761091ec8aac131deff6456c7
        8aa67cff3af657df3de6f5da72171fe7b5a7f9c6ce870b31af323004564342bc9c5fb61da4a265d3fad9028c1651ac8d
        7bbaa614ce3498694c01cfbf3d1d8a1ec0e9dc4496977b34a88e0799ea22a99b449d92640087eb0f12b6b75cc9f4ec68
        7ca185278645f10754170eba751f6220bcc0cd80a06d0c5b6b8d0f9e8c1f442a04289123fae525a025d8e424a9a7720f

        e3f2b6bc736276acd0e22c65d06d5e8d724e95b3231faf27265594ff07b7072171d789354b2e653f587af2d5d2bd0689
        8dc24d358135e66b1fc95f1bf6907f7c7a5a687dacdf92ba9a4a4775b862da1c1b22cc4b0a9d6dfd83fc136962967f42
        891dcddba19ed66e632765480d9aed6c1d0b0064f38420ed187109e8b20b0f0268f06920047893944da2fb2cd24c9574
        930724afb8684235491870c6ac73297afc56973088eeb3ffbb0aed4dbbb66dc01f817dd866f1db8059862300b2e955b9

        e1840dd7b135bfe767acb383ff2ac5c19381c9168def79d519fc9b957e1c62b90199e2e680f80bc05014bdecfb0d6e85
        28f95e162c50457793c298e8e8c59e25b04554a9191ee09d2f4ad44fa13fc4c34800548472515467fbfb1de4d22067e6
        dbae9e55c4628f3e7bea158c0f5960e83ab7b86ca69d02af4b88c7a6b6ba1dd1d976030fb2a28546a70b8712b4d6162e
        8c739372f2be695fdeffe31b49f5633337fa25aab4a8f8c8c0a48122841b4613189edbbf00b7c57b0a782ffaa3954255
    """,
    4096: """
        fe09fa80c6cb778ef8f0dc9bc325bafbed7a74d39cf40e4772b4a883005529b47789f0c7d916bf11e767ca19d2d4d9df
        c79cc54240d7de53b6976ac7fb4f888304048ded059a574a1603dd8b30b0268f3b9858c6f15c2269aad979cd555d2949
        e230f20384b01f6bdad07489c087d457ed74e6b155909466b76f6abb590acc4ae6a0ff4543bf6ce581cd3a0788e21c09
        a226a6f3c05bcdb2a06da38e86eb716966b62dda9c2c3a98f76c665da7378343eb92ac1e26bc57e35d38b03b52870b58
        dcf21a8705631ebaae924d4651e5062eb3571774ed045b4fc100b7af19dad191707d3818a19b0bd2eee6436182266a2e
        d4f5c617d18922b18602986ed08263f3

        ba0877efc01a64e12f7ce5031777a63058a7430607aeee924c3d2ba5a4b96e5c90e8f3acf829fea1f9f0802c124d00e8
        b67b94fd0ee98fd47fbce1ff243a84af5f483e6ae49cd5d182a997a655b422f71820941eef51f247f3b771970383cd32
        68ac3326f741a80424bd1eafe6cea56a1cccb5846ca27fb062557a7b95ad3a15dad08bc599f76af423c19be8523211c0
        0f54f9b8a91b908bec15e08d566905e00fe754060d8c626c764c6eff1270720cc7cf884ce3712f91d1ce80e23e1eaa94
        59cc98e9d00bb9b145dbe622d0086c0f15bf16ad2003420a5012f3ec2e98feb8626f133da045c89b2f9df5ad148f78e0
        37d6e86826559c0893d5a682b3510b85

        e5718c0318779213dd2ed7473c1c9f14418b5cb3f3177f427820db67ff04f43cd91b83fcec93abdf7025902d75951ef2
        334372f74d0e4a0414a9dd86857124258818e75e6df3fa497245867376b547430bd82c9972ae0c0f4c7d4806ace4e7f7
        2572390c40d438a2bf44f5cf84ccbc602e82ffd499d0b18a180763f9d696fe87b4bdcf18895aab8030fa00a9eaa03e76
        7e5078a8185874765b3b1e9516a747f0512121e35591240c95b8de6c9ee264a777c45fb52f824a8451b8058be694e29f
        ccda846b09a89213730059a85f5e5f14a9faf5e2a8dd980fa3b5b0e0153e3f43edbd43852ce141e61c1a1058056ea676
        1b166ac9cc34a991d9a53de51f6a3ca9

        d65d61f00f51b24361d359ea60f0380309d26e37599b2cf37ee72b59869532191dd6d8df426e629e3a70569658c963b3
        4be2524f3bd4a980811c63e94f77ba93393a10f39cdf2c775b89e734af2941d29340282de5dfb0e16501e95836055b94
        9316846ebbc6244c6423ab1658d3bbf67c83a20ad507d8fd81aa99f567ca7c2cb7acb9d0b26a30f4cb9768a59e3cbef3
        943042e8f5916aa1fabb5bb4f085d9aef66ac8fa4f96f148aee7ffed91a04babf13ab35305016e04b2f2da98b54decd6
        13354dea61f0fdf3c375111aa655641b5a726abab292eac45d885c8eed663e60ffd746c290464638251f6dd60f13bdc9
        6c474b4bbb30d13f2b950781d61c88ef
    """,
}
_kept: defaultdict[int, count[int]] = defaultdict(count)
_fresh: defaultdict[int, count[int]] = defaultdict(count)


def kept_key(bits: int) -> rsa.RSAPrivateKey:
    """Return a key that nobody else in this process has."""
    pairs, number = _pairs(bits), next(_kept[bits])
    if number < len(pairs) // 2:
        return _key(*pairs[number])
    return rsa.generate_private_key(_EXPONENT, bits)


def fresh_key(bits: int) -> rsa.RSAPrivateKey:
    """Return a key for one test, which others may have had before it."""
    pairs = _pairs(bits)
    free = pairs[len(pairs) // 2 :]
    return _key(*free[next(_fresh[bits]) % len(free)]) if free else rsa.generate_private_key(_EXPONENT, bits)


@cache
def _pairs(bits: int) -> list[tuple[int, int]]:
    parts = dedent(_PRIMES.get(bits, "")).strip().split("\n\n")
    pairs = combinations((int("".join(part.split()), 16) for part in parts if part), 2)
    return [pair for pair in pairs if (pair[0] * pair[1]).bit_length() == bits]


def _key(p: int, q: int) -> rsa.RSAPrivateKey:
    d = rsa.rsa_recover_private_exponent(_EXPONENT, p, q)
    parts = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, *parts, public)
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)
