"""A registry's HTTP interface: manifests and blobs of one repository.

It knows neither whole images (`client.transfer`) nor trust. Read `registry` first, then `blobs`.
"""
