"""The topics of risk factors: a title of one to four words, and the cause of the risk as a noun
phrase.

The slots in a cause are those of `phrases`. A cause is followed by "could", "may" or "might" only,
so its number does not matter.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """One subject of a risk factor, and the group of risk factors that it belongs to."""

    group: str
    title: str
    cause: str


GROUPS = (
    "Risks Related to Our Business",
    "Risks Related to Our Operations",
    "Risks Related to Information Technology and Data Security",
    "Risks Related to Government Regulation",
    "Risks Related to Our Indebtedness and Liquidity",
    "Risks Related to Intellectual Property and Litigation",
    "Risks Related to Ownership of Our Common Stock",
    "General Risk Factors",
)

_TOPICS: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("Competition", "competition from larger and better financed companies"),
        ("Customer Concentration", "the loss of any of our {few} largest customers"),
        ("Demand", "a decline in the demand for {asset}"),
        ("Pricing Pressure", "pressure on the prices that {parties} are willing to pay"),
        ("Seasonality", "seasonal swings in the {trade} industry"),
        ("New Products", "delays in bringing new products and services to market"),
        ("Acquisitions", "acquisitions that we do not integrate as planned"),
        ("International Operations", "political and economic conditions in {region}"),
        ("Growth Strategy", "a failure to carry out our growth strategy in {region}"),
        ("Reputation", "damage to our brands and reputation"),
        ("Consumer Preferences", "changes in the preferences of {parties}"),
        ("Joint Ventures", "disagreements with our joint venture partners in {region}"),
    ),
    (
        ("Supply Chain", "interruptions in the supply of {input}"),
        ("Single-Source Suppliers", "our dependence on a single source for {input}"),
        ("Facilities", "damage to {asset} in {region}"),
        ("Natural Disasters", "natural disasters and severe weather near {asset}"),
        ("Commodity Prices", "increases in the price of {input}"),
        ("Product Quality", "defects in the products and services that we sell to {parties}"),
        ("Labor Relations", "work stoppages by employees who are represented by unions"),
        ("Transportation", "higher freight rates and fewer carriers in {region}"),
        ("Capacity", "a shortage of capacity at {asset}"),
        ("Public Health", "outbreaks of contagious disease in {region}"),
        ("Third-Party Providers", "failures of third parties that run parts of {asset}"),
        ("Energy Costs", "higher costs of fuel and electricity for {asset}"),
    ),
    (
        ("Cybersecurity", "unauthorized access to the data of {parties}"),
        ("System Failures", "failures of the information systems behind {asset}"),
        ("Data Privacy", "new privacy laws in {region}"),
        ("Cloud Providers", "outages at the cloud providers that host {asset}"),
        ("System Conversions", "delays in replacing our enterprise resource planning system"),
        ("Open Source Software", "the terms of open source licenses in {asset}"),
        ("Artificial Intelligence", "the use of artificial intelligence in {asset}"),
        ("Payment Systems", "fraud in the payment systems that {parties} use"),
    ),
    (
        ("Government Regulation", "new rules of {authority}"),
        ("Environmental Matters", "liabilities under environmental laws for {asset}"),
        ("Tax Matters", "changes in tax law and challenges by tax authorities in {region}"),
        ("Licenses and Permits", "a loss of the licenses and permits that {authority} grants"),
        ("Anti-Corruption Laws", "violations of anti-corruption laws by {parties} in {region}"),
        ("Trade Policy", "tariffs and trade restrictions on {input}"),
        ("Climate Regulation", "laws that limit greenhouse gas emissions from {asset}"),
        ("Government Contracts", "audits of our government contracts by {authority}"),
        ("Accounting Standards", "changes in accounting standards for {asset}"),
    ),
    (
        ("Indebtedness", "our substantial indebtedness"),
        ("Covenants", "the covenants of our {facility}"),
        ("Interest Rates", "changes in interest rates on our {facility}"),
        ("Access to Capital", "a lack of financing on acceptable terms in {region}"),
        ("Credit Ratings", "a downgrade of our credit ratings"),
        ("Foreign Currency", "movements of the currencies of {region} against the dollar"),
        ("Goodwill", "an impairment of goodwill and other intangible assets"),
        ("Pension Obligations", "the underfunding of our pension plans"),
        ("Credit Risk", "defaults by {parties} that owe us money"),
        ("Insurance Coverage", "losses at {asset} that our insurance does not cover"),
    ),
    (
        ("Patents", "the expiration or invalidity of our patents on {asset}"),
        ("Infringement Claims", "claims that {asset} infringe the rights of others"),
        ("Trade Secrets", "the disclosure of our trade secrets to {parties}"),
        ("Litigation", "lawsuits brought by {parties}"),
        ("Product Liability", "product liability claims in {region}"),
        ("Class Actions", "class actions about the way we deal with {parties}"),
        ("Trademarks", "the misuse of our trademarks in {region}"),
    ),
    (
        ("Stock Price Volatility", "volatility in the market price of our common stock"),
        ("Dilution", "sales of additional shares by us or our stockholders"),
        ("Dividends", "a reduction or suspension of our dividends"),
        ("Anti-Takeover Provisions", "anti-takeover provisions in our charter and bylaws"),
        ("Principal Stockholders", "the influence of our principal stockholders"),
        ("Analyst Coverage", "unfavorable reports by securities analysts"),
        ("Internal Control", "weaknesses in our internal control over financial reporting"),
        ("Guidance", "results that differ from the guidance that we publish"),
    ),
    (
        ("Key Personnel", "the loss of members of our senior management"),
        ("Hiring and Retention", "a shortage of qualified employees in {region}"),
        ("Economic Conditions", "weak economic conditions in {region}"),
        ("Catastrophic Events", "war, terrorism and civil unrest in {region}"),
        ("Restructuring", "costs and delays of our restructuring program"),
        ("Health Care Costs", "rising costs of health care for our employees"),
        ("Estimates", "errors in the estimates and assumptions that we make about {asset}"),
        (
            "Social Responsibility",
            "expectations of {parties} about environmental and social matters",
        ),
    ),
)

TOPICS = tuple(
    Topic(group, title, cause)
    for group, topics in zip(GROUPS, _TOPICS, strict=True)
    for title, cause in topics
)
