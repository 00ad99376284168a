"""Config modules: get_config(arg) -> ml_collections.ConfigDict."""
