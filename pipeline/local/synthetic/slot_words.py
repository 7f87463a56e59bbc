"""The words that fill the slots of `phrases`, by the name of the slot."""

SLOT_WORDS = {
    "region": (
        *("the Pacific Northwest", "the Gulf Coast", "the Midwest", "New England"),
        *("the Southeast", "Texas", "California"),
        *("Canada", "Mexico", "Brazil", "Germany", "the United Kingdom"),
        *("Eastern Europe", "China", "Japan", "India"),
        *("Southeast Asia", "the Middle East", "Latin America"),
        *("the Great Lakes region", "the Mountain States", "Australia"),
    ),
    "input": (
        *("steel and aluminum", "natural gas", "diesel fuel"),
        *("packaging", "electronic components", "corn and soybeans"),
        *("resins", "paper", "rare earth metals", "medical supplies"),
        *("software licenses", "skilled labor", "lumber", "cotton"),
        *("silicon wafers", "bandwidth", "active ingredients"),
        *("construction materials", "water", "reinsurance"),
    ),
    "measure": (
        *("net sales", "revenue", "gross profit", "operating income"),
        *("cash flow", "production", "backlog", "new orders"),
        *("net interest income", "same-store sales", "bookings"),
        *("premiums", "shipments", "segment earnings"),
    ),
    "charge": (
        *("restructuring charges", "impairment charges", "legal expenses"),
        *("inventory write-downs", "remediation costs"),
        *("severance costs", "warranty costs", "provisions for bad debts"),
        *("settlement costs", "start-up costs"),
    ),
    "project": (
        *("the expansion of {asset}", "the conversion of our accounting systems"),
        *("our new facility in {region}",),
        *("the consolidation of our offices in {region}", "our cost savings program"),
        *("the modernization of {asset}",),
        *("our compliance program", "the training of our staff in {region}"),
        *("the integration of a business that we acquired",),
    ),
    "facility": (
        *("revolving credit facility", "term loan", "senior notes"),
        *("accounts receivable facility", "equipment leases"),
        *("convertible notes", "mortgage loans"),
        *("asset-based lending facility", "commercial paper program"),
    ),
    "act": (
        *("make expenditures that we have not planned", "lower our prices"),
        *("find other suppliers of {input}",),
        *("move production out of {region}", "renegotiate our {facility}"),
        *("change the way we manage {asset}",),
        *("hire {number} additional employees", "suspend {project}"),
        *("write down {asset}", "withdraw from {region}"),
        *("indemnify {parties}", "obtain waivers from our lenders"),
        *("carry larger inventories of {input}",),
        *("accept longer payment terms", "replace parts of {asset}"),
        *("defend ourselves against claims by {parties}",),
    ),
    "react": (
        *("turn to our competitors", "delay their decisions"),
        *("ask for better terms", "reduce their commitments to us"),
        *("bring claims against us", "insist on larger deposits"),
        *("cancel orders that they have already placed",),
        *("move their business to {region}", "stop recommending us"),
        *("withhold payments that are due", "demand audits of {asset}"),
    ),
    "occur": (
        "occur", "continue", "become more severe",
        "happen at a time of weak demand", "reach {region}", "last for {term}",
    ),
    "remedy": (
        *("we maintain insurance and controls", "we have diversified our sources of {input}"),
        *("we test {asset} every {term}",),
        *("we have adopted policies that {authority} has reviewed",),
        *("we hedge part of our exposure to {input}",),
        *("we train our employees in {region} every year",),
        *("we have set aside {amount} for such cases",),
        *("we have signed agreements with other {parties}",),
        *("our board of directors reviews these matters every {term}",),
        *("we have moved part of {asset} to {region}", "we audit {parties} on a regular basis"),
    ),
    "advantage": (
        *("greater financial resources", "longer relationships with {parties}"),
        *("lower costs of {input}", "larger sales forces in {region}"),
        *("broader product lines", "fewer obligations under debt agreements"),
        *("better access to {input}", "their own plants in {region}"),
    ),
    "reason": (
        *("no two events of this kind are alike", "the costs depend on {parties}"),
        *("our experience in {region} is limited",),
        *("much depends on decisions of {authority}", "substitutes for {input} are scarce"),
        *("contracts with {parties} differ widely"),
        *("the information that we receive from {parties} is incomplete",),
        *("our {measure} in {region} is hard to forecast",),
        *("repairs of {asset} can take {term} or longer",),
        *("our lenders must agree to any change of our {facility}",),
    ),
    "when": (
        *("in recent years", "in the past", "from time to time"),
        *("over the last several quarters", "during the last downturn", "earlier in the decade"),
    ),
    "share": (
        "a large part", "more than half", "roughly a third",
        "a growing portion", "about one fifth", "nearly all",
    ),
    "always": ("always", "often", "repeatedly", "for many years", "in every cycle"),
    "few": ("two", "three", "four", "five", "ten"),
    "term": (
        "six months", "a year", "two years",
        "three quarters", "five years", "eighteen months",
    ),
    "days": ("30", "60", "90", "120", "180"),
    "number": (
        *("3", "4", "6", "7", "9", "11", "12", "14", "17", "19", "23", "26"),
        *("31", "38", "45", "52", "64", "80", "110", "140"),
    ),
    "percent": tuple(str(number) for number in range(3, 78)),
    "percent2": tuple(str(number) for number in range(4, 76, 3)),
    "amount": (
        *(
            f"${whole}.{tenth} million"
            for whole in (1, 2, 4, 7, 11, 16, 23, 35, 48, 62, 87, 120)
            for tenth in (1, 3, 4, 6, 8)
        ),
        *("$1.2 billion", "$1.7 billion", "$2.4 billion"),
        *("$150 million", "$250 million", "$400 million"),
    ),
}  # fmt: skip
