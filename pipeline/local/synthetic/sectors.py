"""The sectors of invented companies, by division of the Standard Industrial Classification.

The codes are the SEC's
(https://www.sec.gov/search-filings/standard-industrial-classification-sic-code-list), in nine of
its divisions; everything else is invented.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sector:
    """A line of business: its codes, and the words in its companies' texts."""

    sics: tuple[int, ...]
    trade: str  # "in the … industry"
    names: tuple[str, ...]
    assets: tuple[str, ...]
    parties: tuple[str, ...]
    authorities: tuple[str, ...]


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split(", "))


SECTORS = (
    Sector(
        (100, 200, 700, 800),
        "agriculture",
        names=_listed("Farms, Orchards, Agricultural Holdings, Timber, Growers"),
        assets=_listed(
            "our orchards, our irrigation rights, our cold-storage houses, our breeding "
            "stock, our seasonal "
            "crews, our leased acreage"
        ),
        parties=_listed("growers, packers, seasonal workers, grocery chains, landowners"),
        authorities=_listed(
            "the state department of agriculture, the water district, the food safety agency"
        ),
    ),
    Sector(
        (1000, 1040, 1221, 1311, 1381, 1389),
        "energy and mining",
        names=_listed("Petroleum, Resources, Drilling, Minerals, Energy Partners"),
        assets=_listed(
            "our proved reserves, our drilling rigs, our gathering lines, our mineral "
            "leases, our tailings "
            "facilities, our processing plant"
        ),
        parties=_listed(
            "operators, royalty owners, drilling contractors, refiners, surface owners"
        ),
        authorities=_listed(
            "the bureau of land management, the mine safety agency, the state oil and gas "
            "commission"
        ),
    ),
    Sector(
        (1520, 1531, 1600, 1623, 1700),
        "construction",
        names=_listed("Homes, Builders, Construction Group, Infrastructure, Contracting"),
        assets=_listed(
            "our land positions, our backlog, our bonding capacity, our model homes, our "
            "equipment fleet, our "
            "subcontractor network"
        ),
        parties=_listed(
            "home buyers, subcontractors, sureties, municipal customers, mortgage lenders"
        ),
        authorities=_listed(
            "the local zoning board, the labor department, the environmental protection agency"
        ),
    ),
    Sector(
        (2000, 2086, 2834, 2836, 3559, 3572, 3674, 3714, 3841, 3845),
        "manufacturing",
        names=_listed(
            "Instruments, Semiconductor, Foods, Pharmaceuticals, Devices, Technologies, "
            "Materials, Biosciences"
        ),
        assets=_listed(
            "our fabrication plants, our product candidates, our sole-source suppliers, our "
            "quality systems, "
            "our patents, our contract manufacturers, our clinical trials, our clean rooms"
        ),
        parties=_listed(
            "distributors, contract manufacturers, hospitals, original equipment "
            "manufacturers, raw material suppliers"
        ),
        authorities=_listed(
            "the food and drug agency, the customs service, the patent office, the agency "
            "that certifies our devices"
        ),
    ),
    Sector(
        (4011, 4213, 4412, 4512, 4813, 4841, 4911, 4923),
        "transportation and utilities",
        names=_listed(
            "Airlines, Freight, Communications, Power & Light, Pipelines, Shipping, Cable"
        ),
        assets=_listed(
            "our fleet, our rights of way, our network, our generating units, our terminals, "
            "our spectrum "
            "licenses, our gates and slots"
        ),
        parties=_listed("shippers, ratepayers, passengers, subscribers, pilots and dispatchers"),
        authorities=_listed(
            "the public utility commission, the aviation agency, the communications "
            "commission, the pipeline "
            "safety agency"
        ),
    ),
    Sector(
        (5000, 5045, 5122, 5141, 5190),
        "wholesale distribution",
        names=_listed("Distribution, Supply, Wholesale, Trading, Logistics"),
        assets=_listed(
            "our distribution centers, our vendor agreements, our delivery fleet, our order "
            "management "
            "system, our private-label lines"
        ),
        parties=_listed("vendors, dealers, independent pharmacies, restaurants, national accounts"),
        authorities=_listed(
            "the drug enforcement agency, the transportation department, the state licensing board"
        ),
    ),
    Sector(
        (5311, 5331, 5411, 5651, 5812, 5940, 5961),
        "retail",
        names=_listed("Stores, Restaurants, Markets, Outfitters, Brands"),
        assets=_listed(
            "our stores, our loyalty program, our e-commerce site, our leases, our "
            "franchisees, our "
            "merchandise assortments"
        ),
        parties=_listed(
            "shoppers, franchisees, landlords, merchandise vendors, delivery platforms"
        ),
        authorities=_listed(
            "the consumer protection bureau, the trade commission, the county health department"
        ),
    ),
    Sector(
        (6020, 6035, 6153, 6199, 6311, 6331, 6500, 6798),
        "financial services",
        names=_listed(
            "Bancorp, Financial, Insurance Group, Realty Trust, Capital, Savings, Mortgage "
            "Investors"
        ),
        assets=_listed(
            "our loan portfolio, our deposit base, our allowance for loan losses, our "
            "reinsurance program, "
            "our properties, our investment portfolio, our branch network"
        ),
        parties=_listed("borrowers, depositors, tenants, policyholders, reinsurers, brokers"),
        authorities=_listed(
            "the central bank, the deposit insurance agency, the insurance commissioner of "
            "the state, the "
            "thrift supervisor"
        ),
    ),
    Sector(
        (7011, 7370, 7372, 7374, 7389, 8000, 8071, 8200, 8742),
        "services",
        names=_listed(
            "Software, Systems, Health Services, Hotels, Learning, Analytics, Staffing, Networks"
        ),
        assets=_listed(
            "our hosting providers, our subscription platform, our clinics, our hotels, our "
            "data centers, our "
            "source code, our online programs"
        ),
        parties=_listed(
            "subscribers, physicians, payors, students, enterprise customers, channel partners"
        ),
        authorities=_listed(
            "the health and human services department, the education department, the data "
            "protection "
            "authority, the accrediting board"
        ),
    ),
)
