"""What can be wrong with a site that a person has to mend."""


class SiteUnusable(Exception):
    """The site's file is right and its adapters cannot work. One line for each thing that is wrong."""

    code = "SITE_UNUSABLE"
