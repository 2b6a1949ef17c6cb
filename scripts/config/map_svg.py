def svg(manifest):
    return "<svg/>\n"
