"""`compile` and `Function`: the pipeline put together; nothing but `symprop/__init__.py` imports this
package.
"""
