"""The phrases of the synthetic corpus, as rules of a grammar: sentences of risk factors by their
function.

The caller gives `cause`, `effect`, `effect2`, `asset`, `parties`, `authority`, `trade` and
`company`; everything else is chosen here. `%Y` is the fiscal year and `%P` the year before, so that
next year's filing can repeat the sentence for its own year.
"""

from pipeline.local.synthetic.grammar import Grammar
from pipeline.local.synthetic.slot_words import SLOT_WORDS

EFFECTS = (
    "reduce our revenue and profitability",
    "harm our reputation and our results of operations",
    "increase our costs and limit our growth",
    "adversely affect our financial condition",
    "cause us to lose customers to our competitors",
    "limit our ability to pay dividends",
    "have a material adverse effect on our business",
    "delay our expansion and lower our margins",
    "result in significant liabilities and fines",
    "force us to close facilities or to sell assets",
    "reduce our cash flow and restrict our liquidity",
    "depress the market price of our common stock",
    "prevent us from meeting our obligations to lenders",
    "require us to record impairment charges",
    "disrupt our operations for an extended period",
    "make it harder to attract and keep qualified people",
)

HEADINGS = (
    "{Cause} could {effect}.",
    "{Cause} may {effect}.",
    "We are exposed to {cause}, which could {effect}.",
    "If we cannot manage {cause}, this could {effect}.",
    "Our business depends on {asset}, and {cause} could {effect}.",
    "We may not be able to protect ourselves against {cause}, and this could {effect}.",
    "{Cause} might {effect} and {effect2}.",
    "We face {cause}, and our failure to respond may {effect}.",
    "Our results may fluctuate because of {cause}, which could {effect}.",
    "Because {parties} have other choices, {cause} could {effect}.",
    "We could be harmed by {cause}, and any such event may {effect}.",
    "The {trade} industry is subject to {cause}, which may {effect}.",
)

_OPENERS = (
    (
        "Our business is exposed to {cause}, and {parties} in {region} have felt the "
        "consequences {when}."
    ),
    (
        "We depend on {asset} for {share} of our {measure}, and {cause} may affect that in ways "
        "that we cannot predict."
    ),
    (
        "Companies in the {trade} industry have {always} been affected by {cause}, and we expect "
        "this to continue."
    ),
    "{When}, {cause} became a more important matter for us and for {parties}.",
    "{Share} of our {measure} is connected with {region}, where {cause} would be felt first.",
    "The success of {company} depends in part on {asset}, which {cause} could put at risk.",
    "Much of what we do rests on {asset}, and {cause} would reach {parties} as well as us.",
    (
        "{Parties} judge us by {asset}, so {cause} may change their decisions before we are able "
        "to respond."
    ),
)

_FACTS = (
    (
        "Approximately {percent}% of our {measure} in {region} came from {parties}, and a "
        "similar share depended on {asset}."
    ),
    "We recorded {amount} of {charge} for {asset} {when}, and further amounts may be necessary.",
    "In {region} we operate {number} sites, of which {few} account for {share} of {asset}.",
    (
        "Our agreements with {parties} run for {term} on average, and {share} of them can be "
        "ended on {days} days' notice."
    ),
    (
        "The cost of {input} rose by {percent}% {when}, while the prices we charge {parties} "
        "rose by less than half of that."
    ),
    (
        "We have {number} employees whose work is tied to {asset}, about {percent}% of them in "
        "{region}."
    ),
    "{When}, one of the {parties} on whom we rely in {region} delayed payments of {amount} to us.",
    (
        "Our {facility} allows us to borrow up to {amount}, of which {percent}% was in use when "
        "we last reported."
    ),
    "We spent {amount} on {project} {when} and expect to spend more before it is finished.",
    (
        "{Authority} opened a review of {asset} {when}, and it has asked us for documents about "
        "{parties}."
    ),
)

_YEARLY = (
    (
        "In fiscal %Y, {percent}% of our {measure} came from {parties}, compared with "
        "{percent2}% in fiscal %P."
    ),
    "During fiscal %Y we recorded {amount} of {charge} that was related to {cause}.",
    "We plan to invest {amount} in {project} in the year after fiscal %Y.",
    (
        "At the end of fiscal %Y we owed {amount} under our {facility}, and fiscal %P was not "
        "very different."
    ),
)

_DEEPENERS = (
    (
        "If {cause} were to {occur}, we could be required to {act}, and we may not be able to "
        "recover the cost from {parties}."
    ),
    (
        "Although {remedy}, it may not be sufficient to prevent {cause} or to cover every loss "
        "that follows."
    ),
    (
        "Our competitors may be able to respond more quickly than we can, because they have "
        "{advantage}."
    ),
    "{Remedy}; even so, {parties} may {react} before these steps have an effect.",
    (
        "{Authority} could require us to {act}, and the time that our management spends on this "
        "would be lost to {project}."
    ),
    "It is difficult to estimate how long {asset} would be affected, since {reason}.",
    "Some {parties} are also exposed to {cause}, and they may {react} as a consequence.",
    "We may have to {act} in order to keep {parties}, which would reduce our {measure}.",
    "Our insurance covers only part of such losses, and {reason}.",
    "Any delay in {project} would make {asset} more vulnerable, particularly in {region}.",
    "We may also find that {reason}, in which case we would have to {act}.",
    (
        "The effect on {asset} may be larger than the effect on the {trade} industry as a whole, "
        "because {reason}."
    ),
)

# First sentences of a further paragraph of the same risk factor refer to the previous one.
_CONTINUATIONS = (
    "Moreover, {parties} in {region} may {react} if they believe that {reason}.",
    (
        "In addition, our {facility} could restrict our ability to {act} at the time when we "
        "most need to do so."
    ),
    (
        "In addition, we depend on {input} for {asset}, and {parties} may {react} when it is not "
        "available in {region}."
    ),
    (
        "For example, {when} {parties} in {region} chose to {react}, and our {measure} fell by "
        "{percent}% in the following {term}."
    ),
    "However, {remedy}, and we cannot assure you that {parties} will not {react}.",
    (
        "These conditions may last for {term} or longer, and we could be required to {act} while "
        "they do."
    ),
    (
        "As a result of {project}, we are now more exposed to conditions in {region} than we "
        "were {when}."
    ),
    "Furthermore, {authority} may come to the view that {reason}, and we would then have to {act}.",
    "To the extent that {reason}, we may be unable to {act} before {parties} {react}.",
)

_CLOSERS = (
    "Any of these events could {effect} and {effect2}.",
    "As a result, {cause} could {effect}.",
    "If we do not manage these matters well, they may {effect}.",
    "These developments, alone or together, could {effect}, and {effect2}.",
    "There can be no assurance that our efforts will succeed, and a failure could {effect}.",
    "Consequently, our future results may differ from our past results, and this could {effect}.",
)

_LIST_LEADS = (
    "These risks include, among others:",
    "Factors that affect {asset} include:",
    "Our ability to deal with this depends on a number of things, including:",
    "Among the matters that {parties} consider are the following:",
)
_ITEMS = (
    "our ability to {act} in {region} without losing {parties};",
    "the willingness of {parties} to accept changes in {asset};",
    "the time that {authority} takes to decide on our applications;",
    "the price and availability of {input};",
    "the progress of {project};",
    "changes in the terms of our {facility};",
    "the possibility that {parties} {react};",
    "conditions in {region} that are beyond our control;",
    "costs of {charge} that exceed our estimates;",
)

SENTENCES = Grammar(
    {
        "opener": _OPENERS,
        "fact": _FACTS,
        "yearly": _YEARLY,
        "deepener": _DEEPENERS,
        "continuation": (*_CONTINUATIONS, *_FACTS),
        "closer": _CLOSERS,
        "list_lead": _LIST_LEADS,
        "item": _ITEMS,
        "effect": EFFECTS,
        "effect2": EFFECTS,
        "heading": HEADINGS,
        **SLOT_WORDS,
    }
)
