"""Random requests are answered as described"""

import pytest

from tests.fuzz.campaign import Campaign


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_2000_random_requests_are_answered_as_described(api_url: str) -> None:
    """No request gets a 5xx, or an answer that is not in the description."""
    campaign = Campaign(api_url)

    campaign.run(cases=2000, seconds=60)

    assert campaign.failures == {}
    assert campaign.sent > 500
    # It reached every kind of outcome: created, found, refused, contradicted.
    assert {200, 201, 204, 400, 401, 403, 404, 410, 415, 422} <= set(campaign.statuses)
